//! Strategies for shapes: sizes on both sides of the edges that kernels cut at.

use gannet_tensor::{Conv2dGeometry, Padding, Pool2dGeometry, Shape};
use proptest::prelude::*;
use proptest::sample::select;

/// Sizes around the widths of vectors, register blocks and tiles. Shrinking goes to the left.
pub const EDGES: [usize; 13] = [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65];

/// One of [`EDGES`].
pub fn edge() -> impl Strategy<Value = usize> {
    select(&EDGES[..])
}

/// A size of an image: small, on both sides of a vector's width.
fn side() -> impl Strategy<Value = usize> {
    select(&[1, 2, 3, 5, 6, 7, 8, 9, 11, 14, 15, 16, 17][..])
}

/// Channels: few, or around the width of a tile.
fn channels() -> impl Strategy<Value = usize> {
    select(&[1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65][..])
}

/// A shape of one to four axes, none of them empty.
pub fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        4 => edge().prop_map(|n| Shape::from([n])),
        4 => (edge(), edge()).prop_map(|(m, n)| Shape::from([m, n])),
        2 => (1..4usize, 1..6usize, edge()).prop_map(|(a, b, c)| Shape::from([a, b, c])),
        2 => (1..3usize, 1..5usize, 1..6usize, edge()).prop_map(|(a, b, c, d)| Shape::from([a, b, c, d])),
        // Long enough to be divided among threads.
        1 => Just(Shape::from([20_011])),
    ]
}

/// Two shapes that broadcast: each a shape with some axes stretched, perhaps without its leading ones.
pub fn broadcasting_pair() -> impl Strategy<Value = [Shape; 2]> {
    (any_shape(), any::<[bool; 4]>(), any::<[bool; 4]>(), any::<bool>(), 0..3usize).prop_map(
        |(shape, a, b, swap, lead)| {
            let stretch = |ones: [bool; 4]| {
                (0..shape.rank()).filter(|&i| ones[i]).fold(shape, |s, axis| s.with_dim(axis, 1))
            };
            let lead = lead.min(shape.rank().saturating_sub(1));
            let short = Shape::new(&stretch(a).dims()[lead..]).unwrap_or(shape);
            let pair = [stretch(b), short];
            if swap { [pair[1], pair[0]] } else { pair }
        },
    )
}

fn padding() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..3usize, 0..3usize, 0..3usize, 0..3usize)
            .prop_map(|(top, bottom, left, right)| { Padding::Explicit { top, bottom, left, right } }),
    ]
}

/// Multiply-adds that the reference does in a moment.
const AFFORDABLE: u64 = 1 << 20;

/// Geometries of convolutions and of transposed convolutions: H differs from W, kernels are smaller,
/// equal or larger than strides, strides do not always divide, all kinds of padding and output_padding.
///
/// In a third of them one side has few channels and the other has many, as at the images of a network.
pub fn convolution() -> impl Strategy<Value = Conv2dGeometry> {
    let few = || 1..5usize;
    let many = || select(&[8, 12, 16, 17, 32, 40][..]);
    let channels = prop_oneof![
        4 => [channels(), channels()],
        1 => (few(), many()).prop_map(|(few, many)| [few, many]),
        1 => (many(), few()).prop_map(|(many, few)| [many, few]),
    ];
    let sizes = (1..4usize, [side(), side()], channels);
    let windows = ([1..6usize, 1..6usize], [1..4usize, 1..4usize], padding());
    let output_padding = proptest::option::of([0..3usize, 0..3usize]);
    (sizes, windows, any::<bool>(), output_padding).prop_filter_map(
        "the windows fit, H differs from W, and the work is affordable",
        |((batch, [h, w], [c_in, c_out]), (kernel, stride, padding), transposed, output_padding)| {
            if h == w && h != 1 {
                return None;
            }
            let x = Shape::from([batch, h, w, c_in]);
            let geometry = if transposed {
                let kernel = Shape::from([kernel[0], kernel[1], c_out, c_in]);
                Conv2dGeometry::transposed(x, kernel, stride, padding, output_padding)
            } else {
                let kernel = Shape::from([kernel[0], kernel[1], c_in, c_out]);
                Conv2dGeometry::forward(x, kernel, stride, padding)
            };
            geometry.ok().filter(|g| g.flops() <= 2 * AFFORDABLE)
        },
    )
}

/// Geometries of poolings: windows apart, side by side and overlapping.
pub fn pooling() -> impl Strategy<Value = Pool2dGeometry> {
    let sizes = (1..3usize, [side(), side()], channels());
    let windows = ([1..4usize, 1..4usize], [1..4usize, 1..4usize], padding());
    (sizes, windows).prop_filter_map(
        "the windows fit, and none lies in the padding alone",
        |((batch, [h, w], channels), (size, stride, padding))| {
            let g = Pool2dGeometry::new(Shape::from([batch, h, w, channels]), size, stride, padding).ok()?;
            let rows = (0..g.out_h).all(|i| !g.rows(i).is_empty());
            let columns = (0..g.out_w).all(|j| !g.columns(j).is_empty());
            (rows && columns && g.image().len() <= 8192).then_some(g)
        },
    )
}

/// M, N, K and the transpose flags of a matrix product: around the edges of register blocks, and with a K
/// that is cut into several panels.
pub fn product() -> impl Strategy<Value = ([usize; 3], [bool; 2])> {
    let sizes = prop_oneof![
        6 => [edge(), edge(), edge()],
        1 => (1..20usize, 1..40usize, select(&[255, 257, 513, 1031][..])).prop_map(|(m, n, k)| [m, n, k]),
        1 => (select(&[129, 385][..]), 1..20usize, 1..9usize).prop_map(|(m, n, k)| [m, n, k]),
        1 => (1..9usize, select(&[257, 1025][..]), 1..9usize).prop_map(|(m, n, k)| [m, n, k]),
    ];
    (sizes, any::<[bool; 2]>())
}

/// A batch [N, .., C] for batch normalisation and the number of groups that it is cut into.
pub fn batch() -> impl Strategy<Value = (Shape, usize)> {
    let shape = prop_oneof![
        (1..5usize, edge()).prop_map(|(n, c)| vec![4 * n, c]),
        (1..4usize, 1..5usize, 1..6usize, edge()).prop_map(|(n, h, w, c)| vec![n, h, w + 1, c]),
        (select(&[31usize, 65][..]), select(&[3usize, 17][..])).prop_map(|(n, c)| vec![n, 3, 2, c]),
    ];
    (shape, 1..3usize).prop_map(|(mut dims, groups)| {
        dims[0] *= groups;
        (Shape::new(&dims).unwrap_or(Shape::SCALAR), groups)
    })
}
