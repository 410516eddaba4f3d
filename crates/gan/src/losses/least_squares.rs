//! Least squares (Mao et al. 2017), with their 0-1 coding.

use gannet_tensor::Var;

/// 1/2 E (real - `real_target`)^2 and 1/2 E fake^2.
pub(super) fn discriminator<'g>(real: Var<'g>, fake: Var<'g>, real_target: f64) -> [Var<'g>; 2] {
    [half_square(real - real_target), half_square(fake)]
}

/// 1/2 E (fake - 1)^2.
pub(super) fn generator(fake: Var<'_>) -> Var<'_> {
    half_square(fake - 1.0)
}

fn half_square(x: Var<'_>) -> Var<'_> {
    x.square().mean_all() * 0.5
}
