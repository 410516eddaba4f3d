//! What the `launch` methods of operations share: grids, strides, and the families of shaders.

use gannet_shaders::{
    Argument, BinaryParams, ChannelsParams, ConvolutionParams, CotangentParams, Dispatch, Kernel, Launch,
    MAX, Params, PoolingParams, ReduceParams, STRIDED_COPY, SUM, SplitKSumParams, StridedCopyParams, Tiled,
    UnaryParams, grid_1d, grid_folded,
};

use crate::geometry::{Conv2dGeometry, Pool2dGeometry};
use crate::ops::{Activation, Epilogue};
use crate::shape::Shape;
use crate::tiling::Tiling;

pub(crate) use Argument::{Input, Output, Scratch};
pub(crate) use gannet_shaders as shaders;

/// A size as shaders take it. Tensors of more elements are refused before anything runs.
pub(crate) fn size(n: usize) -> u32 {
    n as u32
}

/// A function of one tensor with up to two constants, and the shader that computes it in place.
pub(crate) fn unary(
    kernels: [Kernel<UnaryParams>; 2],
    [alpha, beta]: [f64; 2],
    output: Shape,
    in_place: bool,
) -> Option<Launch> {
    let params = UnaryParams { count: size(output.len()), alpha: alpha as f32, beta: beta as f32 };
    let (kernel, arguments) = match in_place {
        false => (kernels[0], &[Input(0), Output][..]),
        true => (kernels[1], &[Output][..]),
    };
    Some(Dispatch::new(kernel, &params, grid_1d(kernel, output.len()), arguments).into())
}

/// A vjp of inputs (y, dy), linear in dy, with up to two constants, and the shader that overwrites dy.
pub(crate) fn cotangent(
    kernels: [Kernel<CotangentParams>; 2],
    [alpha, beta]: [f64; 2],
    output: Shape,
    in_place: bool,
) -> Option<Launch> {
    let params = CotangentParams { count: size(output.len()), alpha: alpha as f32, beta: beta as f32 };
    let (kernel, arguments) = match in_place {
        false => (kernels[0], &[Input(0), Input(1), Output][..]),
        true => (kernels[1], &[Input(0), Output][..]),
    };
    Some(Dispatch::new(kernel, &params, grid_1d(kernel, output.len()), arguments).into())
}

/// A function of two tensors, and the shader that broadcasts them.
pub(crate) fn binary(kernels: [Kernel<BinaryParams>; 2], inputs: &[Shape], output: Shape) -> Option<Launch> {
    let [a, b] = [inputs[0], inputs[1]].map(|x| x.broadcast_strides(output));
    let axes = collapse(output.dims(), [&a, &b]);
    // One axis along which both advance by 1 is no broadcasting at all.
    let plain = inputs.iter().all(|x| x.len() == output.len());
    let kernel = kernels[if plain { 0 } else { 1 }];
    let params = BinaryParams { count: size(output.len()), rank: size(axes.len()), axes: pack(&axes) };
    Some(Dispatch::new(kernel, &params, grid_1d(kernel, output.len()), &[Input(0), Input(1), Output]).into())
}

/// A copy of input 0 between two layouts: the output's elements are visited by `dims`.
pub(crate) fn copy(
    from: Argument,
    dims: &[usize],
    in_strides: &[usize],
    out_strides: &[usize],
    [in_offset, out_offset]: [usize; 2],
) -> Dispatch {
    let axes = collapse(dims, [in_strides, out_strides]);
    let count = dims.iter().product();
    let params = StridedCopyParams {
        count: size(count),
        rank: size(axes.len()),
        in_offset: size(in_offset),
        out_offset: size(out_offset),
        axes: pack(&axes),
    };
    Dispatch::new(STRIDED_COPY, &params, grid_1d(STRIDED_COPY, count), &[from, Output])
}

/// A copy of an input to the output as it is.
pub(crate) fn copy_whole(from: Argument, shape: Shape) -> Dispatch {
    Dispatch::sum_of_parts(from, 1, shape.len())
}

/// An axis with its stride in each of two operands.
type Axis = (usize, [usize; 2]);

/// The fewest axes that visit the same elements in the same order: axes of size 1 are dropped, and neighbours
/// that both operands step through evenly become one.
fn collapse(dims: &[usize], strides: [&[usize]; 2]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    for (i, &dim) in dims.iter().enumerate().filter(|(_, dim)| **dim != 1) {
        let stride = strides.map(|s| s[i]);
        match axes.last_mut() {
            Some((outer, outer_stride)) if (0..2).all(|k| outer_stride[k] == stride[k] * dim) => {
                *outer *= dim;
                *outer_stride = stride;
            }
            _ => axes.push((dim, stride)),
        }
    }
    axes
}

fn pack(axes: &[Axis]) -> [[u32; 4]; 6] {
    let mut packed = [[1, 0, 0, 0]; 6];
    for (packed, &(dim, [a, b])) in packed.iter_mut().zip(axes) {
        *packed = [size(dim), size(a), size(b), 0];
    }
    packed
}

/// Invocations of a workgroup of the `sum` shader.
const SUM_INVOCATIONS: usize = 256;

/// The most parts that one invocation adds one after another.
const MOST_PARTS: usize = 64;

/// The sum of `from`, with dimensions `dims`, over the axes for which `reduced` holds, in one or two dispatches.
/// The second one's input is scratch `scratch.len()`, which is added to `scratch`.
pub(crate) fn sum(from: Argument, dims: &[usize], reduced: &dyn Fn(usize) -> bool, launch: &mut Launch) {
    let runs = runs(dims, reduced);
    let product =
        |wanted: bool| runs.iter().filter(|(kind, ..)| *kind == wanted).map(|(_, n, _)| n).product();
    let (count, length): (usize, usize) = (product(false), product(true));
    // Few parts that lie one after another, each as long as the result.
    if let Some(&(true, parts, _)) = runs.first()
        && parts == length
        && parts <= MOST_PARTS
    {
        launch.dispatches.push(Dispatch::sum_of_parts(from, parts, count));
        return;
    }
    let (params, grid, parts) = reduction(&runs);
    if parts == 1 {
        launch.dispatches.push(Dispatch::new(SUM, &params, grid, &[from, Output]));
        return;
    }
    let partial = Scratch(launch.scratch.len());
    launch.scratch.push(parts * count);
    launch.dispatches.push(Dispatch::new(SUM, &params, grid, &[from, partial]));
    launch.dispatches.push(Dispatch::sum_of_parts(partial, parts, count));
}

/// The largest elements of input 0, of the given dimensions, over the reduced axes.
pub(crate) fn max(dims: &[usize], reduced: &dyn Fn(usize) -> bool, launch: &mut Launch) {
    let (params, grid, parts) = reduction(&runs(dims, reduced));
    if parts == 1 {
        launch.dispatches.push(Dispatch::new(MAX, &params, grid, &[Input(0), Output]));
        return;
    }
    let count = params.count as usize;
    let partial = Scratch(launch.scratch.len());
    launch.scratch.push(parts * count);
    launch.dispatches.push(Dispatch::new(MAX, &params, grid, &[Input(0), partial]));
    // As many results, each from one element of every part: too few for a third pass.
    let (params, grid, _) = reduction(&[(true, parts, count), (false, count, 1)]);
    launch.dispatches.push(Dispatch::new(MAX, &params, grid, &[partial, Output]));
}

/// Runs of kept and of reduced axes, slowest first: whether reduced, length, stride. At most three of each among six
/// axes.
fn runs(dims: &[usize], reduced: &dyn Fn(usize) -> bool) -> Vec<(bool, usize, usize)> {
    let mut runs: Vec<(bool, usize, usize)> = Vec::new();
    let mut stride: usize = dims.iter().product();
    for (axis, &dim) in dims.iter().enumerate().filter(|(_, dim)| **dim != 1) {
        stride /= dim;
        match runs.last_mut() {
            Some((kind, length, step)) if *kind == reduced(axis) => {
                *length *= dim;
                *step = stride;
            }
            _ => runs.push((reduced(axis), dim, stride)),
        }
    }
    runs
}

/// The parameters and the grid of one pass over such runs, and the parts that it leaves of each result.
fn reduction(runs: &[(bool, usize, usize)]) -> (ReduceParams, [u32; 3], usize) {
    let axes = |wanted: bool| {
        let mut packed = [[1, 0, 0, 0]; 3];
        let wanted: Vec<_> = runs.iter().filter(|(kind, ..)| *kind == wanted).collect();
        for (packed, &&(_, length, step)) in packed[3 - wanted.len()..].iter_mut().zip(&wanted) {
            *packed = [size(length), size(step), 0, 0];
        }
        packed
    };
    let product =
        |wanted: bool| runs.iter().filter(|(kind, ..)| *kind == wanted).map(|(_, n, _)| n).product();
    let (count, length): (usize, usize) = (product(false), product(true));
    // Neighbouring invocations read neighbouring elements: along the results where the last axis is kept, otherwise
    // along the sum. Sums shorter than a workgroup leave room for more results.
    let neighbours = match runs.last() {
        Some(&(false, n, _)) => n.next_power_of_two().min(64),
        _ => 1,
    };
    let room = SUM_INVOCATIONS / length.next_power_of_two().min(SUM_INVOCATIONS);
    let width = neighbours.max(room.min(count.next_power_of_two()));
    let workgroups = count.div_ceil(width);
    // Long sums of few results are cut into parts, added by a second pass.
    let parts = if workgroups < 64 { (length / 2048).clamp(1, MOST_PARTS) } else { 1 };
    let part = length.div_ceil(parts);
    let parts = length.div_ceil(part);
    let params = ReduceParams {
        count: size(count),
        reduced: size(length),
        length: size(part),
        width: size(width),
        kept: axes(false),
        reduced_axes: axes(true),
    };
    (params, grid_folded(workgroups, parts), parts)
}

/// An epilogue as shaders take it.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    /// The variant of the shader: 0 without an extra input, 1 with a bias, 2 with the output of an activation.
    pub(crate) variant: usize,
    /// The number of the activation.
    pub(crate) activation: u32,
    /// Its slope.
    pub(crate) slope: f32,
}

impl Finish {
    /// Nothing is done to the result.
    pub(crate) const NONE: Finish = Finish { variant: 0, activation: 0, slope: 0.0 };

    /// What `epilogue` does.
    pub(crate) fn of(epilogue: Option<Epilogue>) -> Finish {
        let Some(epilogue) = epilogue else { return Finish::NONE };
        let (activation, slope) = activation(epilogue.activation().or(epilogue.activation_grad()));
        let variant = match epilogue {
            Epilogue::Activation(_) => 0,
            Epilogue::Bias | Epilogue::BiasActivation(_) => 1,
            Epilogue::ActivationGrad(_) => 2,
        };
        Finish { variant, activation, slope }
    }

    /// The arguments of a product with this epilogue: the operands, the result, the extra input.
    pub(crate) fn arguments(self) -> Vec<Argument> {
        let extra = (self.variant > 0).then_some(Input(2));
        [Input(0), Input(1), Output].into_iter().chain(extra).collect()
    }
}

/// The number and the slope of an activation.
pub(crate) fn activation(activation: Option<Activation>) -> (u32, f32) {
    match activation {
        None => (0, 0.0),
        Some(Activation::LeakyRelu { negative_slope }) => (1, negative_slope as f32),
        Some(Activation::Tanh) => (2, 0.0),
        Some(Activation::Sigmoid) => (3, 0.0),
    }
}

/// The second pass of a product whose partial results [splits, count] lie in scratch 0.
pub(crate) fn split_k_sum(splits: usize, output: Shape, finish: Finish) -> Dispatch {
    if (finish.variant, finish.activation) == (0, 0) {
        return Dispatch::sum_of_parts(Scratch(0), splits, output.len());
    }
    let kernel = [shaders::SPLIT_K_SUM, shaders::SPLIT_K_SUM_BIAS, shaders::SPLIT_K_SUM_GRAD][finish.variant];
    let params = SplitKSumParams {
        count: size(output.len()),
        n: size(output.last()),
        splits: size(splits),
        activation: finish.activation,
        slope: finish.slope,
    };
    let mut arguments = vec![Scratch(0), Output];
    if finish.variant > 0 {
        arguments.push(Input(2));
    }
    Dispatch::new(kernel, &params, grid_1d(kernel, output.len()), &arguments)
}

/// A dispatch of a product over the tiles of its [m, n] result, of which there are `parts` in z. `kernels` are those of each
/// tile; `sizes` says in words what the product's time depends on beside the kernel.
pub(crate) fn tiled<P: Params>(
    kernels: [Kernel<P>; 4],
    params: &P,
    sizes: &str,
    (results @ [m, n], parts): ([usize; 2], usize),
    arguments: &[Argument],
) -> Dispatch {
    let Tiling { tile, asked } = Tiling::new(m, n, parts);
    let grid = grid_folded(tile.count(m, n), parts);
    let shaders = kernels.map(|kernel| kernel.shader);
    let product = format!("{} {sizes}", shaders[0].name);
    let tiled = Some(Tiled { product, results, tile, asked, shaders });
    Dispatch { tiled, ..Dispatch::new(kernels[tile as usize], params, grid, arguments) }
}

/// The sizes of a convolution in words: `14x14x64 of 7x7x128, 4x4/2, N 128` is an image of 14 x 14 pixels with 64 channels, its
/// features of 7 x 7 with 128, a kernel of 4 x 4 every two pixels, and 128 images.
pub(crate) fn sizes(g: &Conv2dGeometry) -> String {
    let Conv2dGeometry { batch, in_h, in_w, in_c, out_h, out_w, out_c, .. } = g;
    let stride = match [g.stride_h, g.stride_w] {
        [h, w] if h == w => h.to_string(),
        [h, w] => format!("{h}x{w}"),
    };
    let kernel = format!("{}x{}/{stride}", g.kernel_h, g.kernel_w);
    format!("{in_h}x{in_w}x{in_c} of {out_h}x{out_w}x{out_c}, {kernel}, N {batch}")
}

/// Into how many parts to cut the sum over `k` of a product with [m, n] results, and how much of k each part takes.
/// The choice follows from the shape alone, so that results do not depend on the adapter.
pub(crate) fn split_k(m: usize, n: usize, k: usize) -> (usize, usize) {
    // Whatever tiles are used: the order of the sum is the same.
    let tiles = m.div_ceil(64) * n.div_ceil(64);
    // A second dispatch pays only for a long sum.
    let splits = if k < 4096 { 1 } else { (128 / tiles.max(1)).min(k / 512).clamp(1, 64) };
    let part = k.div_ceil(splits).next_multiple_of(16).max(16);
    (k.div_ceil(part).max(1), part)
}

/// The parameters of a convolution's shaders, without an epilogue.
pub(crate) fn convolution(g: &Conv2dGeometry) -> ConvolutionParams {
    ConvolutionParams {
        batch: size(g.batch),
        in_h: size(g.in_h),
        in_w: size(g.in_w),
        in_c: size(g.in_c),
        out_h: size(g.out_h),
        out_w: size(g.out_w),
        out_c: size(g.out_c),
        kernel_h: size(g.kernel_h),
        kernel_w: size(g.kernel_w),
        stride_h: size(g.stride_h),
        stride_w: size(g.stride_w),
        pad_top: size(g.pad_top),
        pad_left: size(g.pad_left),
        k_per_split: 0,
        activation: 0,
        slope: 0.0,
    }
}

/// The parameters and the grid of the shaders that reduce x over everything but its channels, for each of `groups`
/// equal parts: chunks of rows in x and y, groups in z.
pub(crate) fn channels(x: Shape, groups: usize, eps: f64) -> (ChannelsParams, [u32; 3]) {
    let channels = x.last();
    let rows = x.len() / channels / groups;
    // Chunks of at least 512 rows; what fits one chunk needs no second pass.
    let chunk_rows = if rows <= 2048 { rows } else { rows.div_ceil(64).max(512) };
    let chunks = rows.div_ceil(chunk_rows);
    let width = channels.next_power_of_two().min(64);
    let params = ChannelsParams {
        channels: size(channels),
        rows: size(rows),
        chunk_rows: size(chunk_rows),
        chunks: size(chunks),
        width: size(width),
        eps: eps as f32,
        activation: 0,
        slope: 0.0,
    };
    (params, grid_folded(channels.div_ceil(width) * chunks, groups))
}

/// The grid of the shaders that visit every element of x, group by group in z.
pub(crate) fn channels_grid(x: Shape, groups: usize) -> [u32; 3] {
    grid_folded((x.len() / groups).div_ceil(256), groups)
}

/// One dispatch of a pooling shader over the elements of the output.
pub(crate) fn pooling(
    kernel: Kernel<PoolingParams>,
    g: &Pool2dGeometry,
    output: Shape,
    arguments: &[Argument],
) -> Option<Launch> {
    let params = PoolingParams {
        batch: size(g.batch),
        in_h: size(g.in_h),
        in_w: size(g.in_w),
        channels: size(g.channels),
        out_h: size(g.out_h),
        out_w: size(g.out_w),
        size_h: size(g.size_h),
        size_w: size(g.size_w),
        stride_h: size(g.stride_h),
        stride_w: size(g.stride_w),
        pad_top: size(g.pad_top),
        pad_left: size(g.pad_left),
    };
    Some(Dispatch::new(kernel, &params, grid_1d(kernel, output.len()), arguments).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_collapse_only_where_both_operands_agree() {
        assert_eq!(collapse(&[2, 3, 4], [&[12, 4, 1], &[12, 4, 1]]), [(24, [1, 1])]);
        assert_eq!(collapse(&[2, 3, 4], [&[12, 4, 1], &[0, 0, 1]]), [(6, [4, 0]), (4, [1, 1])]);
        assert_eq!(collapse(&[2, 1, 4], [&[4, 4, 1], &[4, 4, 1]]), [(8, [1, 1])]);
        assert_eq!(collapse(&[], [&[], &[]]), []);
    }

    #[test]
    fn splits_cover_k() {
        for (tiles, k) in [(1, 1), (1, 512), (1, 4096), (1, 5001), (2, 100_000), (200, 100_000), (16, 25_088)]
        {
            let (splits, part) = split_k(64 * tiles, 33, k);
            assert!(
                splits * part >= k && (splits - 1) * part < k && part % 16 == 0,
                "{splits} x {part} of {k}"
            );
        }
    }
}
