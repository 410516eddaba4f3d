//! Every layer against its definition, and what it says of inputs that do not fit.

use std::collections::BTreeMap;

use gannet::layers::*;
use gannet::{
    Activation, Gan, GanConfig, Initialiser, Layer, Mode, Model, Padding, Parameters, Pass, Reference,
    Sequential,
};
use gannet_tensor::{Graph, Program, Shape, Variables, grad};

/// A layer alone, or some in a row, on a device, in double precision.
pub(crate) struct Bench {
    pub(crate) model: Model,
    parameters: BTreeMap<String, Vec<f64>>,
    states: BTreeMap<String, Vec<f64>>,
}

/// What a layer gave: its output, its states afterwards, the gradient of sum(y * y) for x, and that of the sum of its squares.
pub(crate) struct Got {
    pub(crate) y: Vec<f64>,
    shape: Shape,
    states: BTreeMap<String, Vec<f64>>,
    dx: Vec<f64>,
    ddx: Vec<f64>,
}

impl Bench {
    pub(crate) fn new(layer: impl Layer + 'static, input: &[usize]) -> Bench {
        Bench::of(&Sequential::new("m", input).add(layer))
    }

    pub(crate) fn of(model: &Sequential) -> Bench {
        let model = model.build().unwrap();
        let vector = model.initial_vector(1);
        let parameters = model
            .parameters()
            .iter()
            .map(|slot| (slot.name.clone(), vector[slot.offset..slot.offset + slot.shape.len()].to_vec()))
            .collect();
        let states =
            model.states().iter().map(|slot| (slot.name.clone(), model.initial_state(slot, 1))).collect();
        Bench { model, parameters, states }
    }

    pub(crate) fn parameter(&mut self, name: &str) -> &mut Vec<f64> {
        self.parameters.get_mut(name).unwrap()
    }

    pub(crate) fn run(&self, x: &[f64], mode: Mode, labels: Option<&[f64]>) -> Got {
        let graph = Graph::new();
        let n = x.len() / self.model.input().len();
        let dims: Vec<usize> = std::iter::once(n).chain(self.model.input().dims().iter().copied()).collect();
        let input = graph.input("x", Shape::new(&dims).unwrap());
        let parameters = self
            .model
            .parameters()
            .iter()
            .map(|slot| (slot.name.clone(), graph.constant(slot.shape, &self.parameters[&slot.name])))
            .collect();
        let mut states: BTreeMap<_, _> = self
            .model
            .states()
            .iter()
            .map(|slot| (slot.name.clone(), graph.constant(slot.shape(), &self.states[&slot.name])))
            .collect();
        let labels = labels.map(|labels| graph.constant([labels.len()], labels));
        let counter = Some(graph.fill([1], 3.0));
        let pass = Pass { mode, labels, counter, ..Pass::training() };
        let y = self.model.trace(input, &parameters, &mut states, pass).unwrap();
        let mut plan = graph.plan().output("y", y);
        if let Ok(dx) = grad(y.square().sum_all(), &[input]) {
            plan = plan.output("dx", dx[0]);
            if let Ok(ddx) = grad(dx[0].square().sum_all(), &[input]) {
                plan = plan.output("ddx", ddx[0]);
            }
        }
        for (name, state) in &states {
            plan = plan.output(name, *state);
        }
        let mut program =
            Program::new(&Reference::<f64>::new(), plan.build().unwrap(), &Variables::new()).unwrap();
        program.write("x", x).unwrap();
        program.run().unwrap();
        let states = states.keys().map(|name| (name.clone(), program.read(name).unwrap())).collect();
        assert_eq!(y.shape().dims()[1..], *self.model.output().dims(), "the shape rule");
        let [dx, ddx] = ["dx", "ddx"].map(|name| program.read(name).unwrap_or_default());
        Got { y: program.read("y").unwrap(), shape: y.shape(), states, dx, ddx }
    }

    /// The gradient for x against central differences.
    pub(crate) fn check_gradient(&self, x: &[f64], mode: Mode, labels: Option<&[f64]>) {
        let value = |x: &[f64]| sum_of_squares(&self.run(x, mode, labels).y);
        check_differences(x, &self.run(x, mode, labels).dx, value);
    }

    /// The gradient for x of the sum of the squares of the gradient for x, a second derivative, against central differences.
    pub(crate) fn check_second_gradient(&self, x: &[f64], mode: Mode) {
        let value = |x: &[f64]| sum_of_squares(&self.run(x, mode, None).dx);
        check_differences(x, &self.run(x, mode, None).ddx, value);
    }
}

fn sum_of_squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

/// A gradient against central differences of what it is the gradient of.
fn check_differences(x: &[f64], gradient: &[f64], value: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len());
    for i in 0..x.len() {
        let h = 1e-5;
        let (mut up, mut down) = (x.to_vec(), x.to_vec());
        up[i] += h;
        down[i] -= h;
        let expected = (value(&up) - value(&down)) / (2.0 * h);
        let found = gradient[i];
        assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{i}: {found} {expected}");
    }
}

pub(crate) const TRAINING: Mode = Mode::Training { groups: 1 };

pub(crate) fn values(n: usize) -> Vec<f64> {
    let mut stream = gannet::Stream::new(11, "values", 0);
    (0..n).map(|_| stream.normal()).collect()
}

#[track_caller]
pub(crate) fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (i, (x, y)) in a.iter().zip(b).enumerate() {
        assert!((x - y).abs() < 1e-10 * (1.0 + y.abs()), "{i}: {x}, expected {y}\n{a:?}\n{b:?}");
    }
}

/// (x - mean) / sqrt(variance + eps) of one group of numbers.
fn normalised(x: &[f64], eps: f64) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean) / (variance + eps).sqrt()).collect()
}

#[test]
fn dense_is_an_affine_map_with_its_activation() {
    let mut bench = Bench::new(Dense::new(2).activation(Activation::Relu), &[3]);
    *bench.parameter("0.dense/kernel") = vec![1.0, -1.0, 2.0, 0.5, 0.0, 3.0];
    *bench.parameter("0.dense/bias") = vec![0.25, -0.5];
    let got = bench.run(&[1.0, 2.0, -1.0], TRAINING, None);
    close(&got.y, &[5.25, 0.0]);
}

#[test]
fn convolutions_have_tensorflow_sizes() {
    let output =
        |layer: &dyn Layer, input: [usize; 3]| layer.output_shape(input.into()).map(|s| s.dims().to_vec());
    let conv = Conv2d::new(8, [3, 3]);
    assert_eq!(output(&conv, [28, 27, 3]).unwrap(), [26, 25, 8]);
    assert_eq!(
        output(&conv.clone().stride([2, 2]).padding(Padding::Same), [28, 27, 3]).unwrap(),
        [14, 14, 8]
    );
    let up = ConvTranspose2d::new(8, [3, 3]).stride([2, 2]);
    assert_eq!(output(&up, [7, 6, 3]).unwrap(), [15, 13, 8]);
    assert_eq!(output(&up.padding(Padding::Same), [7, 6, 3]).unwrap(), [14, 12, 8]);
    assert_eq!(output(&MaxPool2d::new([2, 2]), [13, 12, 3]).unwrap(), [6, 6, 3]);
    assert_eq!(output(&UpsampleNearest::new([2, 3]), [5, 4, 3]).unwrap(), [10, 12, 3]);
    let message = output(&conv, [2, 2, 3]).unwrap_err().to_string();
    assert!(message.contains('3') && message.contains('2'), "{message}");
}

#[test]
fn pooling_and_upsampling_are_their_definitions() {
    let x: Vec<f64> = (0..16).map(f64::from).collect();
    close(&Bench::new(MaxPool2d::new([2, 2]), &[4, 4, 1]).run(&x, TRAINING, None).y, &[5.0, 7.0, 13.0, 15.0]);
    close(&Bench::new(AvgPool2d::new([2, 2]), &[4, 4, 1]).run(&x, TRAINING, None).y, &[2.5, 4.5, 10.5, 12.5]);
    close(&Bench::new(GlobalAvgPool2d::new(), &[2, 4, 2]).run(&x, TRAINING, None).y, &[7.0, 8.0]);
    let got = Bench::new(UpsampleNearest::new([1, 2]), &[1, 2, 1]).run(&[1.0, 2.0], TRAINING, None);
    close(&got.y, &[1.0, 1.0, 2.0, 2.0]);
}

#[test]
fn batch_norm_uses_the_batch_or_the_running_statistics() {
    let mut bench = Bench::new(BatchNorm::new().momentum(0.9).eps(0.01), &[2]);
    *bench.parameter("0.batch_norm/gamma") = vec![2.0, 0.5];
    *bench.parameter("0.batch_norm/beta") = vec![0.1, -0.1];
    let x = [1.0, 10.0, 3.0, 14.0, 5.0, 30.0];
    let got = bench.run(&x, TRAINING, None);
    let (a, b) = (normalised(&[1.0, 3.0, 5.0], 0.01), normalised(&[10.0, 14.0, 30.0], 0.01));
    let expected: Vec<f64> = (0..3).flat_map(|i| [2.0 * a[i] + 0.1, 0.5 * b[i] - 0.1]).collect();
    close(&got.y, &expected);
    let variance = [8.0 / 3.0, (8.0f64.powi(2) + 4.0f64.powi(2) + 12.0f64.powi(2)) / 3.0];
    close(&got.states["0.batch_norm/moving"], &[0.3, 1.8, 0.9 + 0.1 * variance[0], 0.9 + 0.1 * variance[1]]);
    let got = bench.run(&x[..2], Mode::Inference, None);
    close(&got.y, &[2.0 / 1.01f64.sqrt() + 0.1, 5.0 / 1.01f64.sqrt() - 0.1]);
    close(&got.states["0.batch_norm/moving"], &[0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn groups_of_a_batch_have_statistics_of_their_own() {
    let bench = Bench::new(BatchNorm::new().momentum(0.5), &[1]);
    let got = bench.run(&[1.0, 3.0, 10.0, 30.0], Mode::Training { groups: 2 }, None);
    let expected = [normalised(&[1.0, 3.0], 1e-3), normalised(&[10.0, 30.0], 1e-3)].concat();
    close(&got.y, &expected);
    // First the first group, then the second.
    close(&got.states["0.batch_norm/moving"], &[(0.0 + 2.0) / 4.0 + 10.0, (1.0 + 1.0) / 4.0 + 50.0]);
}

#[test]
fn single_sample_normalisations_are_their_definitions() {
    let x = values(2 * 3 * 4);
    // Two samples of 3 pixels (1 x 3) with 4 channels.
    let at = |n: usize, p: usize, c: usize| x[(n * 3 + p) * 4 + c];
    let mut layer = vec![0.0; 24];
    let mut instance = vec![0.0; 24];
    let mut group = vec![0.0; 24];
    let mut pixel = vec![0.0; 24];
    for n in 0..2 {
        for p in 0..3 {
            let row: Vec<f64> = (0..4).map(|c| at(n, p, c)).collect();
            let rms = (row.iter().map(|x| x * x).sum::<f64>() / 4.0 + 1e-8).sqrt();
            for (c, y) in normalised(&row, 1e-3).into_iter().enumerate() {
                layer[(n * 3 + p) * 4 + c] = y;
                pixel[(n * 3 + p) * 4 + c] = row[c] / rms;
            }
        }
        for c in 0..4 {
            let column: Vec<f64> = (0..3).map(|p| at(n, p, c)).collect();
            for (p, y) in normalised(&column, 1e-3).into_iter().enumerate() {
                instance[(n * 3 + p) * 4 + c] = y;
            }
        }
        for g in 0..2 {
            let of_group: Vec<f64> = (0..6).map(|i| at(n, i / 2, g * 2 + i % 2)).collect();
            for (i, y) in normalised(&of_group, 1e-3).into_iter().enumerate() {
                group[(n * 3 + i / 2) * 4 + g * 2 + i % 2] = y;
            }
        }
    }
    let shape = [1, 3, 4];
    close(&Bench::new(LayerNorm::new(), &shape).run(&x, TRAINING, None).y, &layer);
    close(&Bench::new(InstanceNorm::new(), &shape).run(&x, TRAINING, None).y, &instance);
    close(&Bench::new(GroupNorm::new(2), &shape).run(&x, TRAINING, None).y, &group);
    close(&Bench::new(PixelNorm::new(), &shape).run(&x, TRAINING, None).y, &pixel);
    // Scale and shift are per channel.
    let mut bench = Bench::new(GroupNorm::new(2), &shape);
    *bench.parameter("0.group_norm/gamma") = vec![1.0, 2.0, 3.0, 4.0];
    *bench.parameter("0.group_norm/beta") = vec![0.0, 0.1, 0.2, 0.3];
    let expected: Vec<f64> =
        group.iter().enumerate().map(|(i, y)| y * (1 + i % 4) as f64 + 0.1 * (i % 4) as f64).collect();
    close(&bench.run(&x, TRAINING, None).y, &expected);
    bench.check_gradient(&x[..12], TRAINING, None);
    let error = Sequential::new("m", [1, 3, 4]).add(GroupNorm::new(3)).build().unwrap_err().to_string();
    assert!(error.contains("[1, 3, 4]") && error.contains('3'), "{error}");
}

#[test]
fn conditional_batch_norm_scales_by_class() {
    let mut bench = Bench::new(ConditionalBatchNorm::new(2), &[1, 1, 1]);
    *bench.parameter("0.conditional_batch_norm/gamma") = vec![2.0, -1.0];
    *bench.parameter("0.conditional_batch_norm/beta") = vec![0.5, 0.25];
    let x = [1.0, 2.0, 6.0];
    let xhat = normalised(&x, 1e-3);
    let got = bench.run(&x, TRAINING, Some(&[0.0, 1.0, 1.0]));
    close(&got.y, &[2.0 * xhat[0] + 0.5, -xhat[1] + 0.25, -xhat[2] + 0.25]);
    close(&got.states["0.conditional_batch_norm/moving"], &[0.03, 0.99 + 0.01 * (14.0 / 3.0)]);
    bench.check_gradient(&x, TRAINING, Some(&[0.0, 1.0, 1.0]));
}

#[test]
fn label_and_projection_know_the_class() {
    let got = Bench::new(Label::new(3).scale(2.0), &[2]).run(&[0.5, 0.25], TRAINING, Some(&[1.0]));
    close(&got.y, &[0.5, 0.25, 0.0, 2.0, 0.0]);
    let mut bench = Bench::new(Projection::new(2), &[2]);
    *bench.parameter("0.projection/kernel") = vec![1.0, -1.0];
    *bench.parameter("0.projection/bias") = vec![0.5];
    *bench.parameter("0.projection/embeddings") = vec![2.0, 0.0, 0.0, 3.0];
    let x = [1.0, 2.0, 3.0, 4.0];
    let got = bench.run(&x, TRAINING, Some(&[0.0, 1.0]));
    close(&got.y, &[(1.0 - 2.0) + 0.5 + 2.0, (3.0 - 4.0) + 0.5 + 12.0]);
    bench.check_gradient(&x, TRAINING, Some(&[0.0, 1.0]));
}

#[test]
fn embedding_looks_rows_up() {
    let mut bench = Bench::new(Embedding::new(3, 2), &[2]);
    *bench.parameter("0.embedding/embeddings") = vec![0.0, 0.1, 1.0, 1.1, 2.0, 2.1];
    let got = bench.run(&[2.0, 0.0], TRAINING, None);
    assert_eq!(got.shape, Shape::from([1, 2, 2]));
    close(&got.y, &[2.0, 2.1, 0.0, 0.1]);
}

#[test]
fn gated_linear_units_gate_one_half_by_the_other() {
    let bench = Bench::new(Glu::new(), &[1, 2, 4]);
    let x = values(16);
    let gate = |x: f64| 1.0 / (1.0 + (-x).exp());
    let expected: Vec<f64> = x.chunks_exact(4).flat_map(|x| [x[0] * gate(x[2]), x[1] * gate(x[3])]).collect();
    let got = bench.run(&x, TRAINING, None);
    assert_eq!(got.shape, Shape::from([2, 1, 2, 2]));
    close(&got.y, &expected);
    bench.check_gradient(&x, TRAINING, None);
    bench.check_second_gradient(&x, TRAINING);
    for odd in [&[3][..], &[2, 1]] {
        let error = Sequential::new("m", odd).add(Glu::new()).build().unwrap_err().to_string();
        assert!(error.contains("layer 0 (glu): expected an input whose last axis is even"), "{error}");
    }
}

/// By plain loops from the paper's equations; before any training it hands its input on.
#[test]
fn self_attention_looks_at_all_pixels() {
    let (shape, n, pixels, channels) = ([2, 3, 16], 2, 6, 16);
    let mut bench = Bench::new(SelfAttention::new(), &shape);
    let numbers = values(4096);
    let x = &numbers[..n * pixels * channels];
    close(&bench.run(x, TRAINING, None).y, x);
    let mut from = 1000;
    for (name, len) in [("query", 32), ("key", 32), ("value", 128), ("output", 128)] {
        let kernel = numbers[from..from + len].iter().map(|x| 0.3 * x).collect();
        *bench.parameter(&format!("0.self_attention/{name}/kernel")) = kernel;
        from += len;
    }
    *bench.parameter("0.self_attention/gamma") = vec![0.7];
    let kernel = |start: usize, at: usize| 0.3 * numbers[1000 + start + at];
    let mapped = |row: &[f64], start: usize, outs: usize| -> Vec<f64> {
        (0..outs)
            .map(|o| row.iter().enumerate().map(|(i, x)| x * kernel(start, i * outs + o)).sum())
            .collect()
    };
    let mut expected = Vec::new();
    for sample in x.chunks_exact(pixels * channels) {
        let rows: Vec<&[f64]> = sample.chunks_exact(channels).collect();
        for row in &rows {
            let query = mapped(row, 0, 2);
            let weights: Vec<f64> = rows
                .iter()
                .map(|other| mapped(other, 32, 2).iter().zip(&query).map(|(k, q)| k * q).sum::<f64>().exp())
                .collect();
            let total: f64 = weights.iter().sum();
            let mut seen = vec![0.0; 8];
            for (other, weight) in rows.iter().zip(&weights) {
                for (seen, value) in seen.iter_mut().zip(mapped(other, 64, 8)) {
                    *seen += weight / total * value;
                }
            }
            expected.extend(row.iter().zip(mapped(&seen, 192, channels)).map(|(x, o)| x + 0.7 * o));
        }
    }
    close(&bench.run(x, TRAINING, None).y, &expected);
    bench.check_gradient(x, TRAINING, None);
    bench.check_second_gradient(&x[..pixels * channels], TRAINING);
    for (input, words) in [
        (&[6][..], "expected an input of shape [height, width, channels], got [6]"),
        (&[129, 128, 1], "at most 16384 pixels, got [129, 128, 1]"),
    ] {
        let error = Sequential::new("m", input).add(SelfAttention::new()).build().unwrap_err().to_string();
        assert!(error.contains("layer 0 (self_attention): ") && error.contains(words), "{error}");
    }
}

/// By a plain loop over one axis; images are filtered along rows, then along columns.
#[test]
fn filters_make_images_smaller_and_larger() {
    /// What a line of numbers becomes.
    type Line<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;
    let down = |x: &[f64], taps: &[f64]| -> Vec<f64> {
        let (sum, before) = (taps.iter().sum::<f64>(), (taps.len() - 1) / 2);
        let at = |i: usize| i.checked_sub(before).and_then(|i| x.get(i)).copied().unwrap_or(0.0);
        (0..x.len() / 2).map(|i| (0..taps.len()).map(|t| taps[t] / sum * at(2 * i + t)).sum()).collect()
    };
    let up = |x: &[f64], taps: &[f64]| -> Vec<f64> {
        let (sum, before) = (taps.iter().sum::<f64>(), (taps.len() - 2) / 2);
        let mut spread = vec![0.0; 2 * x.len() + taps.len()];
        for (i, x) in x.iter().enumerate() {
            for (t, tap) in taps.iter().enumerate() {
                spread[2 * i + t] += x * 2.0 * tap / sum;
            }
        }
        spread[before..before + 2 * x.len()].to_vec()
    };
    // [H, W, C] as lines along an axis, each filtered, and back.
    let along = |x: &[f64], [h, w, c]: [usize; 3], axis: usize, f: Line<'_>| {
        let (n, step, outer) = if axis == 0 { (h, w * c, 1) } else { (w, c, h) };
        let m = f(&vec![0.0; n]).len();
        let mut y = vec![0.0; outer * m * step];
        for o in 0..outer {
            for s in 0..step {
                let line: Vec<f64> = (0..n).map(|i| x[(o * n + i) * step + s]).collect();
                f(&line).into_iter().enumerate().for_each(|(i, v)| y[(o * m + i) * step + s] = v);
            }
        }
        (y, m)
    };
    let [h, w, c] = [5, 4, 3];
    let x = values(h * w * c);
    for taps in [&[1.0, 3.0, 3.0, 1.0][..], &[1.0, 2.0, 1.0], &[1.0, 1.0], &[0.5, 2.0, 4.0, 1.0, -0.5, 3.0]] {
        let layers: [(Bench, Line<'_>); 2] = [
            (Bench::new(DownsampleFir::new().filter(taps), &[h, w, c]), &|x: &[f64]| down(x, taps)),
            (Bench::new(UpsampleFir::new().filter(taps), &[h, w, c]), &|x: &[f64]| up(x, taps)),
        ];
        for (bench, f) in layers {
            let (rows, m) = along(&x, [h, w, c], 0, f);
            let (both, _) = along(&rows, [m, w, c], 1, f);
            close(&bench.run(&x, TRAINING, None).y, &both);
            bench.check_gradient(&x, TRAINING, None);
            bench.check_second_gradient(&x, TRAINING);
        }
    }
    // A grey picture stays as grey but for its edges.
    let grey = vec![0.5; 64];
    let smaller = Bench::new(DownsampleFir::new(), &[8, 8, 1]).run(&grey, TRAINING, None).y;
    let larger = Bench::new(UpsampleFir::new(), &[8, 8, 1]).run(&grey, TRAINING, None).y;
    close(&[smaller[5], larger[7 * 16 + 5]], &[0.5, 0.5]);
    for (layer, words) in [
        (
            Sequential::new("m", [4, 1, 2]).add(DownsampleFir::new()),
            "at least 2 pixels on each side, got [4, 1, 2]",
        ),
        (Sequential::new("m", [4]).add(UpsampleFir::new()), "[height, width, channels], got [4]"),
        (
            Sequential::new("m", [4, 4, 2]).add(UpsampleFir::new().filter([1.0])),
            "filter: expected 2 to 16 numbers",
        ),
        (Sequential::new("m", [4, 4, 2]).add(DownsampleFir::new().filter([1.0, -1.0])), "got [1.0, -1.0]"),
    ] {
        let error = layer.build().unwrap_err().to_string();
        assert!(error.contains("layer 0 (") && error.contains(words), "{error}");
    }
}

#[test]
fn minibatch_std_tells_a_batch_of_copies() {
    let bench = Bench::new(MinibatchStd::new(), &[2, 1, 1]);
    let x = [1.0, 2.0, 3.0, 6.0, 5.0, 5.0, 5.0, 5.0];
    let got = bench.run(&x, Mode::Training { groups: 2 }, None);
    // First group: standard deviations 1 and 2, mean 1.5. Second group: copies.
    for (i, y) in got.y.iter().enumerate() {
        let expected = match (i % 2, i / 8) {
            (0, _) => x[i / 2],
            (_, 0) => 1.5,
            _ => 1e-4,
        };
        assert!((y - expected).abs() < 1e-6, "{i}: {y} {expected}");
    }
    bench.check_gradient(&values(8), TRAINING, None);
}

#[test]
fn dropout_only_drops_while_training() {
    let bench = Bench::new(Dropout::new(0.25), &[1000]);
    let x = vec![3.0; 1000];
    close(&bench.run(&x, Mode::Inference, None).y, &x);
    let got = bench.run(&x, TRAINING, None).y;
    let kept = got.iter().filter(|y| **y != 0.0).count();
    assert!((700..800).contains(&kept), "{kept}");
    assert!(got.iter().all(|y| *y == 0.0 || (y - 4.0).abs() < 1e-12));
}

/// Of mean 0 and variance 1 times its strength, the same for all channels of a pixel; none of it in inference.
#[test]
fn noise_is_added_while_training() {
    let (pixels, channels) = (40 * 50, 2);
    let mut bench = Bench::new(Noise::new(), &[40, 50, channels]);
    let x = values(pixels * channels);
    close(&bench.run(&x, TRAINING, None).y, &x);
    *bench.parameter("0.noise/strength") = vec![3.0];
    close(&bench.run(&x, Mode::Inference, None).y, &x);
    let got = bench.run(&x, TRAINING, None).y;
    let added: Vec<f64> = got.iter().zip(&x).map(|(y, x)| y - x).collect();
    let of_pixels: Vec<f64> = added.chunks_exact(channels).map(|of| of[0]).collect();
    assert!(added.chunks_exact(channels).all(|of| (of[0] - of[1]).abs() < 1e-12));
    let mean = of_pixels.iter().sum::<f64>() / pixels as f64;
    let deviation = (of_pixels.iter().map(|x| x * x).sum::<f64>() / pixels as f64).sqrt();
    // Four times the standard errors of 2000 draws.
    assert!(
        mean.abs() < 4.0 * 3.0 / 44.0 && (deviation - 3.0).abs() < 4.0 * 3.0 / 63.0,
        "{mean} {deviation}"
    );
    // Neighbours have nothing to do with one another.
    let product = of_pixels.windows(2).map(|of| of[0] * of[1]).sum::<f64>() / pixels as f64;
    assert!(product.abs() < 4.0 * 9.0 / 44.0, "{product}");
    let error = Sequential::new("m", [4]).add(Noise::new()).build().unwrap_err().to_string();
    assert!(
        error.contains("layer 0 (noise): expected an input of shape [height, width, channels]"),
        "{error}"
    );
}

#[test]
fn residual_blocks_add_their_branches() {
    let block =
        Residual::new().add(Dense::new(2)).add(LeakyRelu::new(0.5)).shortcut(Dense::new(2).use_bias(false));
    let mut bench = Bench::new(block, &[1]);
    *bench.parameter("0.residual/0.dense/kernel") = vec![2.0, -2.0];
    *bench.parameter("0.residual/0.dense/bias") = vec![0.0, 1.0];
    *bench.parameter("0.residual/shortcut.0.dense/kernel") = vec![10.0, 20.0];
    close(&bench.run(&[1.0], TRAINING, None).y, &[12.0, 19.5]);
    let identity = Bench::new(Residual::new().add(BatchNorm::new()), &[2]);
    let got = identity.run(&[1.0, 2.0, 3.0, 5.0], TRAINING, None);
    let (a, b) = (normalised(&[1.0, 3.0], 1e-3), normalised(&[2.0, 5.0], 1e-3));
    close(&got.y, &[1.0 + a[0], 2.0 + b[0], 3.0 + a[1], 5.0 + b[1]]);
    assert_ne!(got.states["0.residual/0.batch_norm/moving"], [0.0, 0.0, 1.0, 1.0]);
    let narrow =
        Sequential::new("m", [2]).add(Residual::new().add(Dense::new(3))).build().unwrap_err().to_string();
    assert!(narrow.contains("[3]") && narrow.contains("[2]"), "{narrow}");
    let deep =
        Sequential::new("m", [2, 2]).add(Residual::new().add(Dense::new(3))).build().unwrap_err().to_string();
    assert!(deep.contains("layer 0 (residual): its layer 0 (dense)"), "{deep}");
}

/// After some rounds the power iteration has found the largest singular value.
#[test]
fn spectral_norm_divides_by_the_largest_singular_value() {
    let mut bench = Bench::new(SpectralNorm::new(Dense::new(2).use_bias(false)), &[2]);
    // Singular values 5 and 1: a rotation of diag(5, 1).
    let (c, s) = (0.8, 0.6);
    *bench.parameter("0.spectral_norm/kernel") = vec![5.0 * c, 5.0 * s, -s, c];
    let x = [1.0, 0.0, 0.0, 1.0];
    for _ in 0..30 {
        bench.states = bench.run(&x, TRAINING, None).states;
    }
    let got = bench.run(&x, Mode::Inference, None);
    close(&got.y, &[c, s, -s / 5.0, c / 5.0]);
    assert_eq!(got.states, bench.states, "inference does not move the iteration");
    let nothing =
        Sequential::new("m", [2]).add(SpectralNorm::new(Relu::new())).build().unwrap_err().to_string();
    assert!(nothing.contains("no weights"), "{nothing}");
}

/// The gradient for the weights goes through the norm: it is orthogonal to the weights, for their length is divided out.
#[test]
fn spectral_norm_has_the_gradient_of_a_quotient() {
    let model =
        Sequential::new("m", [3]).add(SpectralNorm::new(Dense::new(2).use_bias(false))).build().unwrap();
    let graph = Graph::new();
    let x = graph.constant([2, 3], &values(6));
    let kernel = graph.input("kernel", [3, 2]);
    let u = graph.constant([1, 2], &[0.6, -0.8]);
    let parameters = Parameters::from_iter([("0.spectral_norm/kernel", kernel)]);
    let mut states = BTreeMap::from([("0.spectral_norm/kernel_spectral".to_owned(), u)]);
    let y = model.trace(x, &parameters, &mut states, Pass::training()).unwrap();
    let loss = y.square().sum_all();
    let dw = grad(loss, &[kernel]).unwrap()[0];
    let plan = graph.plan().output("dw", dw).output("inner", (dw * kernel).sum_all()).build().unwrap();
    let mut program = Program::new(&Reference::<f64>::new(), plan, &Variables::new()).unwrap();
    program.write("kernel", &values(12)[6..]).unwrap();
    program.run().unwrap();
    assert!(program.read("inner").unwrap()[0].abs() < 1e-12);
    assert!(program.read("dw").unwrap().iter().any(|x| x.abs() > 1e-3));
}

/// Kernels are normal with variance 1 and multiplied by the gain over the root of the products in each result.
#[test]
fn equalised_kernels_are_multiplied_where_they_are_used() {
    let mut bench = Bench::new(Equalised::new(Dense::new(2)), &[3]);
    *bench.parameter("0.equalised/kernel") = vec![1.0, -1.0, 2.0, 0.5, 0.0, 3.0];
    *bench.parameter("0.equalised/bias") = vec![0.25, -0.5];
    let c = (2.0f64 / 3.0).sqrt();
    close(&bench.run(&[1.0, 2.0, -1.0], TRAINING, None).y, &[5.0 * c + 0.25, -3.0 * c - 0.5]);
    // 2 x 3 taps of 4 channels, whichever axis they are.
    let x = values(2 * 3 * 4);
    for (layer, plain) in [
        (
            Bench::new(Equalised::new(Conv2d::new(5, [2, 3])).gain(1.5), &[2, 3, 4]),
            Bench::new(Conv2d::new(5, [2, 3]), &[2, 3, 4]),
        ),
        (
            Bench::new(Equalised::new(ConvTranspose2d::new(5, [2, 3])).gain(1.5), &[2, 3, 4]),
            Bench::new(ConvTranspose2d::new(5, [2, 3]), &[2, 3, 4]),
        ),
    ] {
        let (mut layer, mut plain) = (layer, plain);
        let name = plain.model.parameters()[0].name.clone();
        let kernel = values(2 * 3 * 4 * 5);
        *layer.parameter("0.equalised/kernel") = kernel.clone();
        *plain.parameter(&name) = kernel.iter().map(|w| w * 1.5 / 24f64.sqrt()).collect();
        close(&layer.run(&x, TRAINING, None).y, &plain.run(&x, TRAINING, None).y);
        layer.check_gradient(&x, TRAINING, None);
        layer.check_second_gradient(&x, TRAINING);
    }
    let model = Sequential::new("m", [64]).add(Equalised::new(Dense::new(64))).build().unwrap();
    let start = &model.initial_vector(1)[..64 * 64];
    let variance = start.iter().map(|x| x * x).sum::<f64>() / 4096.0;
    assert!((variance - 1.0).abs() < 0.1, "{variance}");
    for (layer, words) in [
        (Sequential::new("m", [2]).add(Equalised::new(Relu::new())), "'relu' has no kernels"),
        (
            Sequential::new("m", [2]).add(Equalised::new(Residual::new().add(Dense::new(2)))),
            "expected a single layer with kernels, like conv2d, got 'residual'",
        ),
        (
            Sequential::new("m", [2]).add(Equalised::new(SpectralNorm::new(Dense::new(2)))),
            "got 'spectral_norm'",
        ),
        (
            Sequential::new("m", [2]).add(SpectralNorm::new(Equalised::new(Dense::new(2)))),
            "expected one of them around the layer",
        ),
        (
            Sequential::new("m", [2]).add(Equalised::new(Dense::new(2)).gain(0.0)),
            "gain must be a positive number",
        ),
        (
            Sequential::new("m", [2, 2]).add(Equalised::new(Dense::new(2))),
            "(equalised): dense: expected an input",
        ),
    ] {
        let error = layer.build().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_named_with_their_layer() {
    let message = |model: Sequential| model.build().unwrap_err().to_string();
    let images = || Sequential::new("critic", [28, 28, 1]);
    for (error, expected) in [
        (
            message(images().add(Dense::new(1))),
            "critic, layer 0 (dense): expected an input of shape [in], got [28, 28, 1]",
        ),
        (
            message(images().add(Flatten::new()).add(Reshape::new([7, 7, 3]))),
            "layer 1 (reshape): the input [784] has 784",
        ),
        (
            message(images().add(Flatten::new()).add(Conv2d::new(3, [3, 3]))),
            "layer 1 (conv2d): expected an input of shape",
        ),
        (message(images().add(Conv2d::new(0, [3, 3]))), "filters must be at least 1"),
        (message(images().add(Dropout::new(1.0))), "rate must be at least 0 and less than 1, got 1"),
        (message(images().add(LeakyRelu::new(-0.1))), "negative_slope"),
        (message(images().add(BatchNorm::new().eps(0.0))), "eps must be a positive number"),
        (message(images()), "needs at least one layer"),
        (message(Sequential::new("g", [0]).add(Relu::new())), "[0]"),
        (message(Sequential::new("g", [4]).add(Dense::new(usize::MAX))), "layer 0 (dense)"),
        (
            message(
                Sequential::new("g", [4])
                    .add(Dense::new(2).kernel_initialiser(Initialiser::Normal { std: -1.0 })),
            ),
            "'kernel': the spread of an initialiser",
        ),
        (
            message(Sequential::new("g", [4]).add(Label::new(3)).add(Flatten::new()).add(Projection::new(4))),
            "layer 2 (projection): 4 classes, but a layer before it has 3",
        ),
    ] {
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    }
}

#[test]
fn a_model_file_that_is_wrong_names_the_line() {
    let text = gannet::presets::text("dcgan").unwrap();
    let message = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        GanConfig::from_toml(&text.replacen(from, to, 1)).unwrap_err().to_string()
    };
    let line = |word: &str| text.lines().position(|line| line.contains(word)).unwrap() + 1;
    let unknown =
        message("{ leaky_relu = { negative_slope = 0.2 } }", "{ leaky_rule = { negative_slope = 0.2 } }");
    let at = format!("line {}", line("leaky_relu"));
    assert!(
        unknown.contains(&at) && unknown.contains("leaky_rule") && unknown.contains("`leaky_relu`"),
        "{unknown}"
    );
    let misspelt = message("use_bias = false", "use_bais = false");
    assert!(
        misspelt.contains(&format!("line {}", line("6272"))) && misspelt.contains("use_bais"),
        "{misspelt}"
    );
    let shape = message("[7, 7, 128]", "[7, 8, 128]");
    assert!(shape.contains(&format!("line {}: generator, layer 1 (reshape)", line("reshape"))), "{shape}");
    assert!(shape.contains("6272") && shape.contains("7168"), "{shape}");
    let number = message("units = 6272", "units = -3");
    assert!(number.contains(&format!("line {}", line("6272"))), "{number}");
    let slope = message("negative_slope = 0.2", "negative_slope = -0.2");
    assert!(slope.contains(&at) && slope.contains("at least 0, got -0.2"), "{slope}");
    let kind = message("\"batch_norm\"", "\"batch_nrom\"");
    assert!(kind.contains("batch_nrom") && kind.contains("`batch_norm`"), "{kind}");
}

/// A layer of the user's own.
#[derive(Debug)]
struct Double;

impl Layer for Double {
    fn kind(&self) -> &'static str {
        "double"
    }

    fn output_shape(&self, input: Shape) -> gannet::Result<Shape> {
        Ok(input)
    }

    fn trace<'g>(
        &self,
        x: gannet_tensor::Var<'g>,
        _cx: &mut gannet::Context<'_, 'g>,
    ) -> gannet::Result<gannet_tensor::Var<'g>> {
        Ok(x * 2.0)
    }
}

#[test]
fn a_layer_of_ones_own_trains_but_cannot_be_saved_as_a_model_file() {
    close(&Bench::new(Double, &[2]).run(&[1.0, -1.5], TRAINING, None).y, &[2.0, -3.0]);
    let generator = Sequential::new("generator", [2]).add(Double).add(Dense::new(2));
    let critic = Sequential::new("discriminator", [2]).add(Dense::new(1));
    let mut gan =
        Gan::new(&Reference::<f64>::new(), GanConfig::new(generator, critic).batch_size(1)).unwrap();
    gan.train_on_batch(&[1.0, 2.0], None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let message = gan.save(folder.path().join("m.safetensors")).unwrap_err().to_string();
    assert!(message.contains("'double'"), "{message}");
}

/// Activations against their formulas, as a layer and behind one; far out none of them is infinite or not a number.
#[test]
fn activations_are_their_formulas() {
    type Formula<'a> = &'a dyn Fn(f64) -> f64;
    // Simpson's rule over the density of the normal distribution.
    let density = |t: f64| (-0.5 * t * t).exp() / std::f64::consts::TAU.sqrt();
    let gelu = |x: f64| {
        let h = x / 2000.0;
        let triple = |i: i32| [0, 1, 2].map(|j| density(f64::from(2 * i + j) * h));
        let sum: f64 = (0..1000).map(triple).map(|[a, b, c]| a + 4.0 * b + c).sum();
        x * (0.5 + sum * h / 3.0)
    };
    let cases: [(Activation, Bench, Formula<'_>); 4] = [
        (Activation::Softplus, Bench::new(Softplus::new(), &[6]), &|x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        (Activation::Gelu, Bench::new(Gelu::new(), &[6]), &gelu),
        (Activation::Silu, Bench::new(Silu::new(), &[6]), &|x| x / (1.0 + (-x).exp())),
        (Activation::Elu { alpha: 0.7 }, Bench::new(Elu::new().alpha(0.7), &[6]), &|x| {
            if x > 0.0 { x } else { 0.7 * x.exp_m1() }
        }),
    ];
    for (activation, bench, formula) in cases {
        let x = [-2.0, -0.5, 0.25, 1.5, 3.0, -0.01];
        let expected: Vec<f64> = x.iter().map(|x| formula(*x)).collect();
        close(&bench.run(&x, Mode::Inference, None).y, &expected);
        bench.check_gradient(&x, TRAINING, None);
        let far = bench.run(&[-800.0, 800.0, -40.0, 40.0, 0.0, -1e4], TRAINING, None);
        assert!(
            far.y.iter().chain(&far.dx).all(|x| x.is_finite()),
            "{activation:?}: {:?} {:?}",
            far.y,
            far.dx
        );
        let mut behind = Bench::new(Dense::new(1).use_bias(false).activation(activation), &[1]);
        *behind.parameter("0.dense/kernel") = vec![2.0];
        close(&behind.run(&[-0.25, 0.75], Mode::Inference, None).y, &[formula(-0.5), formula(1.5)]);
    }
    let refused = Sequential::new("m", [1]).add(Elu::new().alpha(0.0)).build().unwrap_err().to_string();
    assert!(refused.contains("layer 0 (elu): alpha must be a positive number, got 0"), "{refused}");
}

/// The gradients of a batch normalisation by name, and where they lie in the packed vector. Its parameters are declared
/// gamma first, and sorted by name beta first: one must not be taken for the other.
#[test]
fn gradients_lie_with_their_parameters() {
    let model = Sequential::new("m", [3]).add(BatchNorm::new()).build().unwrap();
    let graph = Graph::new();
    let x = graph.input("x", [4, 3]);
    let weights: Vec<f64> = values(12);
    let parameters = model.views(graph.constant([model.vector_len()], &model.initial_vector(1)));
    let mut states = model.state_inputs(&graph);
    let y = model.trace(x, &parameters, &mut states, Pass::training()).unwrap();
    let loss = (y * graph.constant([4, 3], &weights)).sum_all();
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0.batch_norm/gamma", "0.batch_norm/beta"]);
    let gradients = parameters.gradients(loss).unwrap();
    // However they are put together: a name takes its gradient along.
    let reversed: Vec<_> = gradients.iter().collect();
    let reversed: Parameters<'_> = reversed.into_iter().rev().collect();
    // The order of the tensors is that of the slots, for `grad` itself.
    let by_hand = grad(loss, &parameters.tensors()).unwrap();
    let slots = model.parameters().iter().map(|slot| slot.name.clone());
    let by_hand: Parameters<'_> = slots.zip(by_hand).collect();
    let mut plan = graph.plan().output("y", y);
    for (name, gradients) in [("a", &gradients), ("b", &reversed), ("c", &by_hand)] {
        plan = plan.output(name, model.pack(gradients).unwrap());
    }
    let mut program =
        Program::new(&Reference::<f64>::new(), plan.build().unwrap(), &Variables::new()).unwrap();
    program.write("x", &values(12)).unwrap();
    program.run().unwrap();
    let y = program.read("y").unwrap();
    for name in ["a", "b", "c"] {
        let packed = program.read(name).unwrap();
        for slot in model.parameters() {
            let expected: Vec<f64> = (0..3)
                .map(|channel| {
                    // gamma is 1 and beta 0: y is what gamma multiplies.
                    let factor = |i: usize| if slot.name.ends_with("gamma") { y[i] } else { 1.0 };
                    (0..4).map(|row| 3 * row + channel).map(|i| weights[i] * factor(i)).sum()
                })
                .collect();
            close(&packed[slot.offset..slot.offset + 3], &expected);
        }
    }

    let mut wrong = gradients.clone();
    wrong.set("0.batch_norm/beta", graph.fill([4], 0.0));
    let message = model.pack(&wrong).unwrap_err().to_string();
    assert!(message.contains("'0.batch_norm/beta' has the shape [3]"), "{message}");
    let missing: Parameters<'_> = gradients.iter().take(1).collect();
    let message = model.pack(&missing).unwrap_err().to_string();
    assert!(message.contains("'0.batch_norm/beta' is missing"), "{message}");
}
