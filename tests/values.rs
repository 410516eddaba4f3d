//! The value of each operation on a few numbers that can be checked by hand.

use gannet_tensor::{Conv2dGeometry, Graph, NodeKind, Padding, Pool2dGeometry, Shape, Var, grad, ops};
use gannet_tests::{Evaluation, node};

/// A tensor of the given values.
fn t<'g, const N: usize>(graph: &'g Graph, shape: [usize; N], values: &[f64]) -> Var<'g> {
    graph.constant(shape, values)
}

/// 1, 2, 3, ..
fn count<'g, const N: usize>(graph: &'g Graph, shape: [usize; N]) -> Var<'g> {
    let values: Vec<f64> = (1..=Shape::from(shape).len()).map(|i| i as f64).collect();
    graph.constant(shape, &values)
}

#[track_caller]
fn is<const N: usize>(y: Var<'_>, shape: [usize; N], expected: &[f64]) {
    assert_eq!(y.shape(), Shape::from(shape), "{y:?}");
    let evaluation = Evaluation::<f64>::new(&[y], |name| unreachable!("no input {name}"));
    let actual = evaluation.value(y);
    let close = |(a, e): (&f64, &f64)| (a - e).abs() <= 1e-14 * e.abs().max(1.0);
    assert!(actual.iter().zip(expected).all(close) && actual.len() == expected.len(), "{y:?}: {actual:?}");
}

#[test]
fn elementwise() {
    let g = &Graph::new();
    let x = t(g, [4], &[-2.0, 0.0, 0.5, 2.0]);
    is(x.abs(), [4], &[2.0, 0.0, 0.5, 2.0]);
    is(x.sign(), [4], &[-1.0, 0.0, 1.0, 1.0]);
    is(x.square(), [4], &[4.0, 0.0, 0.25, 4.0]);
    is(x.affine(3.0, 1.0), [4], &[-5.0, 1.0, 2.5, 7.0]);
    is(x.exp(), [4], &[(-2.0f64).exp(), 1.0, 0.5f64.exp(), 2.0f64.exp()]);
    is(x.tanh(), [4], &[-(2.0f64.tanh()), 0.0, 0.462_117_157_260_009_8, 2.0f64.tanh()]);
    is(x.leaky_relu(0.2), [4], &[-0.4, 0.0, 0.5, 2.0]);
    is(x.clamp(-1.0, 1.0), [4], &[-1.0, 0.0, 0.5, 1.0]);
    is(x.stop_gradient(), [4], &[-2.0, 0.0, 0.5, 2.0]);
    is(node(ops::CopyTo, &[x]), [4], &[-2.0, 0.0, 0.5, 2.0]);
    let sigmoid = 0.880_797_077_977_882_3;
    is(t(g, [2], &[2.0, -2.0]).sigmoid(), [2], &[sigmoid, 1.0 - sigmoid]);
    is(
        t(g, [3], &[2.0, -2.0, 800.0]).softplus(),
        [3],
        &[2.126_928_011_042_972_5, 0.126_928_011_042_972_5, 800.0],
    );
    is(t(g, [2], &[2.0, -2.0]).silu(), [2], &[2.0 * sigmoid, -2.0 * (1.0 - sigmoid)]);
    let elu = 0.5 * (-2.0f64).exp_m1();
    is(x.elu(0.5), [4], &[elu, 0.0, 0.5, 2.0]);
    is(x.elu(0.5).elu_grad(x, 0.5), [4], &[-2.0 * (elu + 0.5), 0.0, 0.5, 2.0]);
    // The table of Abramowitz and Stegun (26.1), and a tail.
    let x = t(g, [5], &[0.0, 1.0, -1.0, 3.5, -5.0]);
    let cdf = [
        0.5,
        0.841_344_746_068_542_9,
        0.158_655_253_931_457_05,
        0.999_767_370_920_964_5,
        2.866_515_718_791_939e-7,
    ];
    is(x.normal_cdf(), [5], &cdf);
    is(x.gelu(), [5], &[0.0, cdf[1], -cdf[2], 3.5 * cdf[3], -5.0 * cdf[4]]);
    is(t(g, [2], &[4.0, 0.25]).sqrt(), [2], &[2.0, 0.5]);
    is(t(g, [2], &[4.0, -0.25]).reciprocal(), [2], &[0.25, -4.0]);
    is(t(g, [2], &[1.0, 3.0]).log(), [2], &[0.0, 1.098_612_288_668_109_8]);
}

#[test]
fn elementwise_of_several() {
    let g = &Graph::new();
    let (a, b) = (t(g, [2, 1], &[1.0, 5.0]), t(g, [3], &[2.0, 4.0, -8.0]));
    is(a + b, [2, 3], &[3.0, 5.0, -7.0, 7.0, 9.0, -3.0]);
    is(a - b, [2, 3], &[-1.0, -3.0, 9.0, 3.0, 1.0, 13.0]);
    is(a * b, [2, 3], &[2.0, 4.0, -8.0, 10.0, 20.0, -40.0]);
    is(a / b, [2, 3], &[0.5, 0.25, -0.125, 2.5, 1.25, -0.625]);
    is(a.maximum(b), [2, 3], &[2.0, 4.0, 1.0, 5.0, 5.0, 5.0]);
    is(a.greater(b), [2, 3], &[0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    let (y, dy) = (t(g, [3], &[-0.5, 0.5, 0.75]), t(g, [3], &[2.0, 4.0, 8.0]));
    is(y.tanh_grad(dy), [3], &[1.5, 3.0, 3.5]);
    is(y.sigmoid_grad(dy), [3], &[-1.5, 1.0, 1.5]);
    is(y.leaky_relu_grad(dy, 0.25), [3], &[0.5, 4.0, 8.0]);
    is(y.clamp_mask(dy, -0.25, 0.5), [3], &[0.0, 4.0, 0.0]);
    is(y.accumulate(dy), [3], &[1.5, 4.5, 8.75]);
    is(y.lerp(dy, t(g, [1], &[0.25])), [3], &[0.125, 1.375, 2.5625]);
    let (x, targets) = (t(g, [4], &[2.0, 2.0, -200.0, 200.0]), t(g, [4], &[1.0, 0.0, 1.0, 1.0]));
    is(x.bce_logits(targets), [4], &[0.126_928_011_042_972_5, 2.126_928_011_042_972_5, 200.0, 0.0]);
    let p = t(g, [4], &[0.25, 0.75, 0.0, 1.0]);
    let (ln4, cut) = (1.386_294_361_119_890_6, -(0.125f64.ln()));
    is(p.bce_probabilities(targets, 0.125), [4], &[ln4, ln4, cut, -(0.875f64.ln())]);
}

#[test]
fn constants_are_folded_into_what_they_meet() {
    let g = &Graph::new();
    let (x, three) = (count(g, [2]), g.fill([2], 3.0));
    is(x + three, [2], &[4.0, 5.0]);
    is(three + x, [2], &[4.0, 5.0]);
    is(x - three, [2], &[-2.0, -1.0]);
    is(three - x, [2], &[2.0, 1.0]);
    is(x * three, [2], &[3.0, 6.0]);
    is(three * x, [2], &[3.0, 6.0]);
    is(x / g.fill([2], 4.0), [2], &[0.25, 0.5]);
    is(three / x, [2], &[3.0, 1.5]);
    // What stretches its operand is not folded.
    is(g.scalar(3.0) - x, [2], &[2.0, 1.0]);
    is(x.sum_all() * three, [2], &[9.0, 9.0]);
    is((-x + 1.5) * 2.0 / 4.0 - 0.5, [2], &[-0.25, -0.75]);
    let folded = (three.affine(2.0, 0.5) - three).reshape([2, 1]).broadcast_to([2, 2]);
    assert!(matches!(folded.kind(), NodeKind::Fill(3.5)), "{folded:?}");
    assert!(matches!(folded.sum(&[0]).kind(), NodeKind::Fill(7.0)));
    assert_eq!(x.affine(1.0, 0.0), x);
    assert_eq!(x.slice(0, 0, 2), x);
}

/// Computed apart from this project. Shares of the range: 0.74, 0.67, 0.78, 0.23, 0.98, 0.99.
const HASHES: [u32; 6] =
    [3_159_126_957, 2_870_913_765, 3_354_550_496, 988_963_212, 4_210_475_698, 4_270_703_982];

#[test]
fn dropout_draws_its_mask_from_the_hash() {
    assert_eq!([0, 1, 2, 3, 4, 5].map(|i| ops::Dropout::hash(7, 3, i)), HASHES);
    let g = &Graph::new();
    let y = count(g, [6]).dropout(t(g, [1], &[3.0]), 0.75, 7);
    is(y, [6], &[0.0, 0.0, 12.0, 0.0, 20.0, 24.0]);
}

#[test]
fn layout() {
    let g = &Graph::new();
    let x = count(g, [2, 3]);
    is(x.reshape([3, 2]), [3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    is(x.transpose(), [3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let cube = count(g, [2, 1, 3]).permute(&[2, 0, 1]);
    is(cube, [3, 2, 1], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    is(x.slice(1, 1, 3), [2, 2], &[2.0, 3.0, 5.0, 6.0]);
    is(x.slice(0, 1, 2), [1, 3], &[4.0, 5.0, 6.0]);
    is(x.slice(1, 0, 2).pad(1, 1, 2), [2, 5], &[0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 4.0, 5.0, 0.0, 0.0]);
    is(Var::concat(&[x, x.slice(1, 2, 3)], 1), [2, 4], &[1.0, 2.0, 3.0, 3.0, 4.0, 5.0, 6.0, 6.0]);
    is(Var::concat(&[x.slice(0, 1, 2), x], 0), [3, 3], &[4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    is(
        Var::pack(&[x.slice(1, 0, 1), x.slice(0, 0, 1)], &[0, 3], 7),
        [7],
        &[1.0, 4.0, 0.0, 1.0, 2.0, 3.0, 0.0],
    );
    is(x.slice(1, 0, 1).broadcast_to([2, 2]), [2, 2], &[1.0, 1.0, 4.0, 4.0]);
    is(count(g, [1, 2, 1, 1]).upsample_nearest([1, 2]), [1, 2, 2, 1], &[1.0, 1.0, 2.0, 2.0]);
    is(count(g, [1, 1, 2, 1]).upsample_nearest([2, 1]), [1, 2, 2, 1], &[1.0, 2.0, 1.0, 2.0]);
    let ids = t(g, [4], &[2.0, 0.0, 2.0, 3.0]);
    is(count(g, [3, 2]).embedding(ids), [4, 2], &[5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 0.0, 0.0]);
    let gradient = node(ops::EmbeddingGrad { rows: 3 }, &[ids, count(g, [4, 2])]);
    is(gradient, [3, 2], &[3.0, 4.0, 0.0, 0.0, 6.0, 8.0]);
    is(ids.one_hot(3), [4, 3], &[0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn reductions() {
    let g = &Graph::new();
    let x = count(g, [2, 3]);
    is(x.sum(&[0]), [1, 3], &[5.0, 7.0, 9.0]);
    is(x.sum(&[1]), [2, 1], &[6.0, 15.0]);
    is(x.sum_all(), [], &[21.0]);
    is(x.mean(&[0, 1]), [1, 1], &[3.5]);
    is(x.max(&[0]), [1, 3], &[4.0, 5.0, 6.0]);
    is(x.max(&[1, 0]), [1, 1], &[6.0]);
    let y = t(g, [2, 3], &[5.0, -1.0, 5.0, -3.0, -2.0, -2.0]);
    is(y.max(&[1]), [2, 1], &[5.0, -2.0]);
    is(y.argmax(1), [2, 1], &[0.0, 1.0]);
    is(y.argmax(0), [1, 3], &[0.0, 0.0, 0.0]);
    // Equals share the gradient.
    let shares = grad(y.max(&[1]).sum_all(), &[y]).unwrap()[0];
    is(shares, [2, 3], &[0.5, 0.0, 0.5, 0.0, 0.5, 0.5]);
    let x = t(g, [3, 2], &[0.0, 3.0f64.ln(), 3.0f64.ln(), 0.0, 800.0, 0.0]);
    is(x.softmax(), [3, 2], &[0.25, 0.75, 0.75, 0.25, 1.0, 0.0]);
    let loss = x.softmax_cross_entropy(t(g, [3], &[0.0, 0.0, 1.0]));
    is(loss, [3], &[4.0f64.ln(), (4.0f64 / 3.0).ln(), 800.0]);
}

#[test]
fn products() {
    let g = &Graph::new();
    let (a, b) = (count(g, [2, 2]), t(g, [2, 2], &[5.0, 6.0, 7.0, 8.0]));
    let product = |trans_a, trans_b| node(ops::MatMul { trans_a, trans_b }, &[a, b]);
    is(product(false, false), [2, 2], &[19.0, 22.0, 43.0, 50.0]);
    is(product(true, false), [2, 2], &[26.0, 30.0, 38.0, 44.0]);
    is(product(false, true), [2, 2], &[17.0, 23.0, 39.0, 53.0]);
    is(product(true, true), [2, 2], &[23.0, 31.0, 34.0, 46.0]);
    // Two rows with a column each, then one: [1, 2] [3; 4], and [5, 6] [7; 8].
    let (a, b) = (t(g, [2, 1, 2], &[1.0, 2.0, 5.0, 6.0]), t(g, [2, 2, 1], &[3.0, 4.0, 7.0, 8.0]));
    is(a.batch_matmul(b), [2, 1, 1], &[11.0, 83.0]);
    let outer = node(ops::BatchMatMul { trans_a: true, trans_b: true }, &[a, b]);
    is(outer, [2, 2, 2], &[3.0, 4.0, 6.0, 8.0, 35.0, 40.0, 42.0, 48.0]);

    let (x, w) = (count(g, [1, 3, 3, 1]), count(g, [2, 2, 1, 1]));
    is(x.conv2d(w, [1, 1], Padding::Valid), [1, 2, 2, 1], &[37.0, 47.0, 67.0, 77.0]);
    // One row of padding above, none to the left: the windows start at row -1.
    let padding = Padding::Explicit { top: 1, bottom: 0, left: 0, right: 1 };
    is(x.conv2d(w, [2, 2], padding), [1, 2, 2, 1], &[11.0, 9.0, 67.0, 33.0]);
    let channels = count(g, [1, 1, 1, 2]).conv2d(count(g, [1, 1, 2, 3]), [1, 1], Padding::Same);
    is(channels, [1, 1, 1, 3], &[9.0, 12.0, 15.0]);

    let y = t(g, [1, 1, 2, 1], &[1.0, 10.0]);
    let strided = y.conv_transpose2d(w, [2, 2], Padding::Valid, None);
    is(strided, [1, 2, 4, 1], &[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0]);
    let overlapping = y.conv_transpose2d(w, [1, 1], Padding::Valid, None);
    is(overlapping, [1, 2, 3, 1], &[1.0, 12.0, 20.0, 3.0, 34.0, 40.0]);
    let channels =
        count(g, [1, 1, 1, 2]).conv_transpose2d(count(g, [1, 1, 3, 2]), [1, 1], Padding::Valid, None);
    is(channels, [1, 1, 1, 3], &[5.0, 11.0, 17.0]);

    let geometry = Conv2dGeometry::forward(x.shape(), w.shape(), [1, 1], Padding::Valid).unwrap();
    let dy = t(g, [1, 2, 2, 1], &[1.0, 0.0, 0.0, 10.0]);
    is(node(ops::Conv2dWeightGrad { geometry }, &[x, dy]), [2, 2, 1, 1], &[51.0, 62.0, 84.0, 95.0]);
}

#[test]
fn pooling() {
    let g = &Graph::new();
    let x = t(g, [1, 3, 3, 1], &[1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0]);
    let valid = Pool2dGeometry::new(x.shape(), [2, 2], [1, 1], Padding::Valid).unwrap();
    is(x.max_pool2d([2, 2], [1, 1], Padding::Valid), [1, 2, 2, 1], &[9.0, 9.0, 8.0, 7.0]);
    is(x.max_pool2d([2, 2], [2, 2], Padding::Same), [1, 2, 2, 1], &[9.0, 7.0, 6.0, 5.0]);
    let dy = t(g, [1, 2, 2, 1], &[1.0, 10.0, 100.0, 1000.0]);
    let dx = node(ops::MaxPool2dGrad { geometry: valid }, &[x, dy]);
    is(dx, [1, 3, 3, 1], &[0.0, 11.0, 0.0, 100.0, 0.0, 1000.0, 0.0, 0.0, 0.0]);
    let gathered = node(ops::MaxPool2dGather { geometry: valid }, &[x, count(g, [1, 3, 3, 1])]);
    is(gathered, [1, 2, 2, 1], &[2.0, 2.0, 4.0, 6.0]);
    let x = count(g, [1, 3, 3, 1]);
    is(x.avg_pool2d([2, 2], [1, 1], Padding::Valid), [1, 2, 2, 1], &[3.0, 4.0, 6.0, 7.0]);
    // The padding does not count.
    is(x.avg_pool2d([2, 2], [2, 2], Padding::Same), [1, 2, 2, 1], &[3.0, 4.5, 7.5, 9.0]);
    let spread = node(ops::AvgPool2dGrad { geometry: valid }, &[dy]);
    is(spread, [1, 3, 3, 1], &[0.25, 2.75, 2.5, 25.25, 277.75, 252.5, 25.0, 275.0, 250.0]);
}

#[test]
fn normalisation() {
    let g = &Graph::new();
    let x = t(g, [4, 2], &[1.0, 10.0, 3.0, 30.0, 5.0, 0.0, 9.0, 0.0]);
    is(x.batch_stats(1), [2, 2], &[4.5, 10.0, 8.75, 150.0]);
    let stats = x.batch_stats(2);
    is(stats, [4, 2], &[2.0, 20.0, 1.0, 100.0, 7.0, 0.0, 4.0, 0.0]);
    let (gamma, beta) = (t(g, [2], &[2.0, 3.0]), t(g, [2], &[0.5, -1.0]));
    let (eps, groups) = (0.0, 2);
    let whole = x.slice(1, 0, 1);
    let of_first = stats.slice(1, 0, 1);
    let y = node(
        ops::BatchNorm { eps, groups, training: false },
        &[whole, of_first, gamma.slice(0, 0, 1), beta.slice(0, 0, 1)],
    );
    is(y, [4, 1], &[-1.5, 2.5, -1.5, 2.5]);
    let inference = x.batch_norm(t(g, [2, 2], &[1.0, 10.0, 3.0, 99.0]), gamma, beta, 1.0);
    is(inference, [4, 2], &[0.5, -1.0, 2.5, 5.0, 4.5, -4.0, 8.5, -4.0]);
    let dy = t(g, [4, 1], &[1.0, 2.0, 3.0, 5.0]);
    let sums = node(ops::BatchNormSums { eps, groups }, &[whole, dy, of_first]);
    is(sums, [4, 1], &[3.0, 1.0, 8.0, 2.0]);
    // gamma / sigma (dy - (sum + xhat sum_xhat) / 2), with other sums than those of dy.
    let sums = t(g, [4, 1], &[2.0, 4.0, 6.0, 8.0]);
    let dx = node(ops::BatchNormGrad { eps, groups }, &[whole, dy, of_first, gamma.slice(0, 0, 1), sums]);
    is(dx, [4, 1], &[4.0, -2.0, 4.0, -2.0]);
}

#[test]
fn optimisers() {
    let g = &Graph::new();
    let state = t(g, [3, 2], &[1.0, 2.0, 4.0, -4.0, 1.0, 5.0]);
    let new = state.adam(t(g, [2], &[2.0, 4.0]), t(g, [2], &[0.5, 0.5]), 0.5, 0.75);
    // m = 3 and 0; v = 1.75 and 7.75.
    is(new, [3, 2], &[1.0 - 1.5 / (1.75f64.sqrt() + 0.5), 2.0, 3.0, 0.0, 1.75, 7.75]);
    let state = t(g, [2, 2], &[1.0, 2.0, 4.0, -4.0]);
    is(state.sgd(t(g, [2], &[2.0, 4.0]), t(g, [1], &[0.5]), 0.25), [2, 2], &[-0.5, 0.5, 3.0, 3.0]);
}
