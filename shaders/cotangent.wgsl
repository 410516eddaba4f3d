// Element-wise vjps, linear in the cotangent: out[i] = f(y[i], dy[i]); in place, out is dy.
#axis op leaky_relu_grad = select(params.alpha * t, t, y > 0.0)
#axis op tanh_grad = t * fma(-y, y, 1.0)
#axis op sigmoid_grad = t * y * (1.0 - y)
#axis op elu_grad = select(t * (y + params.alpha), t, y > 0.0)
#axis op clamp_mask = select(0.0, t, y >= params.alpha && y <= params.beta)
#axis place plain
#axis place in_place
#name {op} {place}

struct Params {
    count: u32,
    // The constants of the function: slope, bounds.
    alpha: f32,
    beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> saved: array<f32>;
#if place plain
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#endif

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = folded(group, groups) * 256u + lane;
    if i >= params.count {
        return;
    }
    let y = saved[i];
#if place plain
    let t = dy[i];
#else
    let t = out[i];
#endif
    out[i] = ${op};
}
