//! Random numbers, and the way between two draws.

use gannet_tensor::Element;

pub use gannet_random::Stream;
pub(crate) use gannet_random::fnv1a;

/// The point at `t` in [0, 1] of the way from latent `a` to `b` (White 2016, "Sampling Generative Networks"): along the
/// great circle between their directions, so that what lies between two normally distributed latents is about as long
/// as they are, where a straight line would pass closer to the origin. Latents in the same or opposite directions are
/// joined by the straight line. `t` of 0 and 1 give `a` and `b` themselves.
///
/// # Panics
/// When `a` and `b` have different lengths.
pub fn slerp<E: Element>(a: &[E], b: &[E], t: f64) -> Vec<E> {
    assert_eq!(a.len(), b.len(), "slerp goes between latents of the same length");
    let dot = |x: &[E], y: &[E]| -> f64 { x.iter().zip(y).map(|(x, y)| x.to_f64() * y.to_f64()).sum() };
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let angle = cosine.clamp(-1.0, 1.0).acos();
    let (from, to) = match angle.sin() {
        sine if sine > 1e-6 => (((1.0 - t) * angle).sin() / sine, (t * angle).sin() / sine),
        _ => (1.0 - t, t),
    };
    a.iter().zip(b).map(|(a, b)| E::of(from * a.to_f64() + to * b.to_f64())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_between_latents_keeps_their_length_and_meets_both_ends() {
        let mut stream = Stream::new(3, "slerp", 0);
        let mut draw = || -> Vec<f64> { (0..50).map(|_| stream.normal()).collect() };
        let (a, b) = (draw(), draw());
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert_eq!((slerp(&a, &b, 0.0), slerp(&a, &b, 1.0)), (a.clone(), b.clone()));
        let scaled: Vec<f64> = b.iter().map(|x| x * length(&a) / length(&b)).collect();
        for t in [0.1, 0.5, 0.8] {
            assert!((length(&slerp(&a, &scaled, t)) / length(&a) - 1.0).abs() < 1e-12, "{t}");
        }
        // In a plane: 30 degrees of a right angle.
        let turned = slerp(&[2.0, 0.0], &[0.0, 2.0], 1.0 / 3.0);
        assert!((turned[0] - 3f64.sqrt()).abs() < 1e-12 && (turned[1] - 1.0).abs() < 1e-12, "{turned:?}");
        assert_eq!(slerp(&[1.0, 1.0], &[3.0, 3.0], 0.5), [2.0, 2.0]);
        assert_eq!(slerp(&[0.0, 0.0], &[3.0, 1.0], 0.5), [1.5, 0.5]);
    }
}
