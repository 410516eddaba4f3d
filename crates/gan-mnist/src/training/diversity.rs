//! How far images are apart.

/// The root of the mean squared distance between two of `images` [N, ...] of `size` numbers each; of two of the same
/// class, where `labels` `[N]` say which that is. `None` where there are no two.
///
/// The squared distances of all pairs of n images sum up to n sum |x|^2 - |sum x|^2, so no pair is looked at.
pub(super) fn mean_distance(images: &[f32], size: usize, labels: Option<&[u32]>) -> Option<f64> {
    let count = images.len().checked_div(size)?;
    let class = |n: usize| labels.map_or(0, |labels| labels[n]);
    let mut classes: Vec<u32> = (0..count).map(class).collect();
    classes.sort_unstable();
    classes.dedup();
    let (mut squared, mut pairs) = (0.0, 0.0);
    for of in classes {
        let (mut n, mut squares, mut sum) = (0.0, 0.0, vec![0.0f64; size]);
        for (_, image) in images.chunks_exact(size).enumerate().filter(|(k, _)| class(*k) == of) {
            n += 1.0;
            for (sum, &x) in sum.iter_mut().zip(image) {
                let x = f64::from(x);
                squares += x * x;
                *sum += x;
            }
        }
        squared += (n * squares - sum.iter().map(|x| x * x).sum::<f64>()).max(0.0);
        pairs += 0.5 * n * (n - 1.0);
    }
    (pairs > 0.0).then(|| (squared / pairs).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_all_pairs() {
        let mut stream = gannet::Stream::new(1, "images", 0);
        let images: Vec<f32> = (0..12 * 5).map(|_| stream.normal() as f32).collect();
        let labels: Vec<u32> = (0..12).map(|n| n % 3).collect();
        for labels in [None, Some(&labels[..])] {
            let (mut sum, mut pairs) = (0.0, 0.0);
            for (a, x) in images.chunks(5).enumerate() {
                for (b, y) in images.chunks(5).enumerate().skip(a + 1) {
                    if labels.is_none_or(|labels| labels[a] == labels[b]) {
                        sum += x.iter().zip(y).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
                        pairs += 1.0;
                    }
                }
            }
            let found = mean_distance(&images, 5, labels).unwrap();
            assert!((found - (sum / pairs).sqrt()).abs() < 1e-5, "{found}");
        }
        assert_eq!(mean_distance(&images[..5], 5, None), None);
        assert_eq!(mean_distance(&images[..10], 5, Some(&[0, 1])), None);
        assert_eq!(mean_distance(&[1.0; 10], 5, None), Some(0.0));
    }
}
