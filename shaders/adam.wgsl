// Adam on state [3, n] with rows p, m, v, in place: m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
// p -= step_size m / (sqrt(v) + eps), with scalars [2] = step_size, eps.
struct Params {
    n: u32,
    beta1: f32,
    beta2: f32,
    // 1 - beta1 and 1 - beta2, rounded once.
    rest1: f32,
    rest2: f32,
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
    let gradient = g[i];
    let m = fma(params.beta1, state[params.n + i], params.rest1 * gradient);
    let v = fma(params.beta2, state[2u * params.n + i], params.rest2 * gradient * gradient);
    state[i] -= scalars[0] * m / (sqrt(v) + scalars[1]);
    state[params.n + i] = m;
    state[2u * params.n + i] = v;
}
