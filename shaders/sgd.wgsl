// Gradient descent with momentum on state [2, n] with rows p, velocity, in place: velocity = momentum velocity + g,
// p -= rate velocity, with scalars [1] = rate.
struct Params {
    n: u32,
    momentum: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> state: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = folded(group, groups) * 256u + lane;
    if i >= params.n {
        return;
    }
    let velocity = fma(params.momentum, state[params.n + i], g[i]);
    state[i] -= scalars[0] * velocity;
    state[params.n + i] = velocity;
}
