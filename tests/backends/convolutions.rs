//! Every way in which the fast CPU backend computes convolutions, wherever it can be taken and whether it is worth it or not,
//! against the reference in f64: outputs and gradients of first and second order.

use gannet_cpu::{Cpu, Isa, Way};
use gannet_tensor::{Conv2dGeometry, Graph, Padding, Shape};
use gannet_tests::{Case, Derivative, Row, agrees_with_reference, rows};
use proptest::prelude::*;
use proptest::sample::select;

/// Multiply-adds that the reference does in a moment.
const AFFORDABLE: u64 = 1 << 21;

/// Channels, maps, kernels and strides of networks. Winograd's algorithm takes multiples of 16 channels and two of the kernels.
fn geometries() -> impl Strategy<Value = Conv2dGeometry> {
    let channels = || select(&[1, 3, 4, 16, 32, 48, 64][..]);
    let sides = || select(&[4, 5, 7, 8, 12, 16][..]);
    let windows = select(&[(1, 1), (3, 1), (3, 1), (3, 2), (4, 2), (4, 2), (5, 1), (5, 2)][..]);
    (1..3usize, [sides(), sides()], [channels(), channels()], windows).prop_filter_map(
        "the work is affordable",
        |(batch, [h, w], [c_in, c_out], (kernel, stride))| {
            let x = Shape::from([batch, h, w, c_in]);
            let w = Shape::from([kernel, kernel, c_in, c_out]);
            let geometry = Conv2dGeometry::forward(x, w, [stride; 2], Padding::Same);
            geometry.ok().filter(|g| g.flops() <= 2 * AFFORDABLE)
        },
    )
}

fn agrees(way: Way) {
    for isa in Isa::available() {
        let cpu = Cpu::by_way(isa, 2, way).expect("a CPU");
        for (name, case) in rows::CONVOLUTIONS {
            eprintln!("{name} by {way:?} on {isa}");
            let row =
                Row { name, derivative: Derivative::Exists, cases: geometries().prop_map(case).boxed() };
            agrees_with_reference(&cpu, &row, 16);
        }
    }
}

#[test]
fn to_few() {
    agrees(Way::ToFew);
}

#[test]
fn to_image() {
    agrees(Way::ToImage);
}

#[test]
fn winograd() {
    agrees(Way::Winograd);
}

#[test]
fn from_image() {
    agrees(Way::FromImage);
}

#[test]
fn product() {
    agrees(Way::Product);
}

/// Each way is possible for some of the geometries above, and the choice is among those that are.
#[test]
fn ways_are_possible_and_one_is_chosen() {
    let cpu = Cpu::with_threads(1).expect("a CPU");
    let geometry = |x: [usize; 4], c_out: usize, kernel: usize, stride: usize| {
        let w = Shape::from([kernel, kernel, x[3], c_out]);
        Conv2dGeometry::forward(Shape::from(x), w, [stride; 2], Padding::Same).expect("it fits")
    };
    let ways = |geometry, case: fn(Conv2dGeometry) -> Case| {
        let graph = Graph::new();
        let (_, y) = case(geometry).trace(&graph);
        let plan = graph.plan().output("y", y).build().expect("a plan");
        cpu.ways(&plan.instructions()[0]).expect("a convolution")
    };
    let deep = geometry([2, 16, 16, 64], 64, 3, 1);
    assert_eq!(ways(deep, rows::conv2d_case), (vec![Way::Winograd, Way::Product], Way::Winograd));
    // Too few tiles for it, but possible.
    let flat = geometry([1, 4, 4, 64], 64, 3, 1);
    assert_eq!(ways(flat, rows::conv2d_case), (vec![Way::Winograd, Way::Product], Way::Product));
    let image = geometry([2, 16, 16, 3], 32, 4, 2);
    assert_eq!(ways(image, rows::conv2d_case), (vec![Way::FromImage, Way::Product], Way::FromImage));
    assert_eq!(ways(image, rows::conv_transpose2d_case).1, Way::ToFew);
    let grey = geometry([2, 16, 16, 1], 32, 4, 2);
    assert_eq!(
        ways(grey, rows::conv_transpose2d_case),
        (vec![Way::ToFew, Way::ToImage, Way::Product], Way::ToImage)
    );
    let graph = Graph::new();
    let y = graph.input("x", [4]).tanh();
    let plan = graph.plan().output("y", y).build().expect("a plan");
    assert_eq!(cpu.ways(&plan.instructions()[0]), None);
}
