//! Directions of the latents along which images change most.

use super::Weights;
use super::network::{Known, Network};
use crate::eigen::{Eigen, symmetric_eigen};
use crate::error::Result;

/// The unit directions [most, z] in which a generator's first weights W stretch latents most: eigenvectors of W W^T by
/// their eigenvalues, largest first (Shen and Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs"). The
/// sign is that in which the largest component is positive. None where the first weights are not over the latents
/// themselves. A last latent that chooses a cluster is left alone.
pub(super) fn directions(network: &Network, weights: &Weights, most: usize) -> Result<Vec<Vec<f32>>> {
    let z = network.input.len();
    let n = if network.bounds.is_empty() { z } else { z - 1 };
    let first = network.steps.iter().find_map(|step| {
        let weight = network.weights.iter().find(|weight| weight.name == format!("{}.weight", step.name))?;
        Some((step, weight))
    });
    let Some((step, weight)) = first else { return Ok(Vec::new()) };
    let values = weights.get(&weight.source)?;
    // Where latent i of output k lies.
    let (outputs, at): (usize, Box<dyn Fn(usize, usize) -> usize>) = match step.layer {
        Known::Dense(_) if step.input.len() >= z => {
            let units = values.len() / step.input.len();
            (units, Box::new(move |i, k| i * units + k))
        }
        Known::ConvTranspose2d(_) if step.input.last() == z => {
            (values.len() / z, Box::new(move |i, k| k * z + i))
        }
        _ => return Ok(Vec::new()),
    };
    let mut gram = vec![0.0f64; n * n];
    for i in 0..n {
        for j in 0..=i {
            let dot = (0..outputs).map(|k| f64::from(values[at(i, k)]) * f64::from(values[at(j, k)])).sum();
            (gram[i * n + j], gram[j * n + i]) = (dot, dot);
        }
    }
    let Eigen { values, vectors } = symmetric_eigen(&gram, n);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let direction = |&row: &usize| {
        let vector = &vectors[row * n..][..n];
        let largest = vector.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
        let mut direction: Vec<f32> = vector.iter().map(|x| (x * largest.signum()) as f32).collect();
        direction.resize(z, 0.0);
        direction
    };
    Ok(order.iter().take(most).map(direction).collect())
}

#[cfg(test)]
mod tests {
    use gannet_tensor::Reference;

    use super::super::Part;
    use super::*;
    use crate::config::GanConfig;
    use crate::gan::Gan;
    use crate::layers::{ConvTranspose2d, Dense, Flatten, LeakyRelu, Reshape};
    use crate::sequential::Sequential;

    /// The directions of a generator whose first weights are `kernel`.
    fn found(generator: Sequential, name: &str, kernel: &[f64], output: usize) -> Vec<Vec<f32>> {
        let critic = Sequential::new("discriminator", [output]).add(Dense::new(1));
        let mut gan = Gan::new(&Reference::<f64>::new(), GanConfig::new(generator, critic)).unwrap();
        gan.write_tensor(name, kernel).unwrap();
        let network = Network::of(&gan, Part::Generator).unwrap();
        directions(&network, &Weights::of(&gan, Part::Generator).unwrap(), 2).unwrap()
    }

    #[test]
    fn the_first_direction_is_stretched_most() {
        // Rows: latents. The sum of the first two is stretched by 3 sqrt(2), the third by 2, their difference not at all.
        let kernel = [3.0, 0.0, 3.0, 0.0, 0.0, 2.0];
        let half = 0.5f32.sqrt();
        let close = |found: Vec<Vec<f32>>| {
            let expected = [[half, half, 0.0], [0.0, 0.0, 1.0]];
            let pairs = found.iter().flatten().zip(expected.as_flattened());
            assert_eq!(found.len(), 2);
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{found:?}"));
        };
        let dense = Sequential::new("generator", [3]).add(Dense::new(2));
        close(found(dense, "generator/0.dense/kernel", &kernel, 2));
        // The same weights as those of a transposed convolution over one pixel: [1, 1, filters, inputs].
        let turned = [3.0, 3.0, 0.0, 0.0, 0.0, 2.0];
        let convolution = Sequential::new("generator", [3])
            .add(Reshape::new([1, 1, 3]))
            .add(ConvTranspose2d::new(2, [1, 1]))
            .add(Flatten::new());
        close(found(convolution, "generator/1.conv_transpose2d/kernel", &turned, 2));
        let none = Sequential::new("generator", [3]).add(LeakyRelu::new(0.2));
        let critic = Sequential::new("discriminator", [3]).add(Dense::new(1));
        let gan = Gan::new(&Reference::<f64>::new(), GanConfig::new(none, critic)).unwrap();
        let network = Network::of(&gan, Part::Generator).unwrap();
        let weights = Weights::of(&gan, Part::Generator).unwrap();
        assert!(directions(&network, &weights, 2).unwrap().is_empty());
    }
}
