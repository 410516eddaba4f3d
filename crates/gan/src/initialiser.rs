//! Initial values of parameters.

use gannet_tensor::Shape;
use serde::{Deserialize, Serialize};

use crate::random::Stream;

/// How a parameter starts.
///
/// Fans are counted as Keras does: of a shape [.., a, b], fan_in is a and fan_out is b, each times the product
/// of the dimensions in front (the window of a convolution). Of a vector both are its length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Initialiser {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Normal with mean 0 (Radford et al. 2015 use a standard deviation of 0.02 for DCGAN).
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Uniform in [-limit, limit].
    Uniform {
        /// Largest absolute value.
        limit: f64,
    },
    /// Uniform in ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010): Keras' default.
    GlorotUniform,
    /// Normal with a standard deviation of sqrt(2 / fan_in), cut at two standard deviations and rescaled, as
    /// Keras does (He et al. 2015).
    HeNormal,
    /// Uniform in ±sqrt(6 / fan_in) (He et al. 2015).
    HeUniform,
}

/// The standard deviation of a standard normal distribution cut at ±2.
const TRUNCATED_STD: f64 = 0.879_625_661_034_239_8;

impl Initialiser {
    /// The initial values of a parameter of the given shape, drawn in double precision.
    pub fn values(self, shape: Shape, stream: &mut Stream) -> Vec<f64> {
        let n = shape.len();
        let (fan_in, fan_out) = fans(shape);
        match self {
            Initialiser::Zeros => vec![0.0; n],
            Initialiser::Ones => vec![1.0; n],
            Initialiser::Normal { std } => (0..n).map(|_| std * stream.normal()).collect(),
            Initialiser::Uniform { limit } => uniform(n, limit, stream),
            Initialiser::GlorotUniform => uniform(n, (6.0 / (fan_in + fan_out)).sqrt(), stream),
            Initialiser::HeUniform => uniform(n, (6.0 / fan_in).sqrt(), stream),
            Initialiser::HeNormal => {
                let std = (2.0 / fan_in).sqrt() / TRUNCATED_STD;
                (0..n).map(|_| std * truncated_normal(stream)).collect()
            }
        }
    }

    /// Errors when a number in it is not finite or is negative.
    pub(crate) fn check(self) -> Result<(), String> {
        match self {
            Initialiser::Normal { std: x } | Initialiser::Uniform { limit: x }
                if !(x.is_finite() && x >= 0.0) =>
            {
                Err(format!("the spread of an initialiser must be a finite number of at least 0, got {x}"))
            }
            _ => Ok(()),
        }
    }
}

fn uniform(n: usize, limit: f64, stream: &mut Stream) -> Vec<f64> {
    (0..n).map(|_| stream.uniform(-limit, limit)).collect()
}

fn truncated_normal(stream: &mut Stream) -> f64 {
    loop {
        let x = stream.normal();
        if x.abs() <= 2.0 {
            return x;
        }
    }
}

fn fans(shape: Shape) -> (f64, f64) {
    match shape.dims() {
        [] => (1.0, 1.0),
        &[n] => (n as f64, n as f64),
        &[ref window @ .., a, b] => {
            let taps = window.iter().product::<usize>();
            ((a * taps) as f64, (b * taps) as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(initialiser: Initialiser, shape: Shape) -> (f64, f64, f64) {
        let values = initialiser.values(shape, &mut Stream::new(7, "w", 0));
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let std = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        (mean, std, values.iter().fold(0.0, |m: f64, x| m.max(x.abs())))
    }

    #[test]
    fn spreads_are_those_of_the_papers() {
        let kernel = Shape::from([3, 3, 32, 64]); // fan_in 288, fan_out 576
        let close = |a: f64, b: f64| (a - b).abs() < 0.02 * b;
        let (mean, std, _) = moments(Initialiser::Normal { std: 0.02 }, kernel);
        assert!(close(std, 0.02) && mean.abs() < 0.001, "{mean} {std}");
        let (_, std, largest) = moments(Initialiser::GlorotUniform, kernel);
        let limit = (6.0f64 / 864.0).sqrt();
        assert!(close(std, limit / 3f64.sqrt()) && close(largest, limit) && largest <= limit);
        let (_, std, largest) = moments(Initialiser::HeNormal, kernel);
        let target = (2.0f64 / 288.0).sqrt();
        assert!(close(std, target) && largest <= 2.0 * target / TRUNCATED_STD, "{std} {target}");
        let (_, std, _) = moments(Initialiser::HeUniform, kernel);
        assert!(close(std, target), "{std} {target}");
    }
}
