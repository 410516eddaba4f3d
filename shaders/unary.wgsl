// Element-wise functions of one tensor: out[i] = f(x[i]); in place, out is x.
#axis op affine = fma(x, params.alpha, params.beta)
#axis op exp = exp_f32(x)
#axis op log = log_f32(x)
#axis op sqrt = sqrt(x)
#axis op square = x * x
#axis op abs = abs(x)
#axis op sign = sign(x)
#axis op reciprocal = 1.0 / x
#axis op clamp = clamp(x, params.alpha, params.beta)
#axis op leaky_relu = select(params.alpha * x, x, x > 0.0)
#axis op tanh = tanh_f32(x)
#axis op sigmoid = sigmoid_f32(x)
#axis op softplus = softplus_f32(x)
#axis op silu = x * sigmoid_f32(x)
#axis op gelu = x * normal_cdf_f32(x)
#axis op normal_cdf = normal_cdf_f32(x)
#axis op elu = select(params.alpha * exp_m1_f32(x), x, x > 0.0)
#axis op fused_sigmoid_affine = sigmoid_affine(x, params.alpha, params.beta)
#axis place plain
#axis place in_place
#name {op} {place}

struct Params {
    count: u32,
    // The constants of the function: scale and shift, bounds, slope.
    alpha: f32,
    beta: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
#if place plain
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#else
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
#endif

#import grid
#import math

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
#if place plain
    let x = input[i];
#else
    let x = out[i];
#endif
    out[i] = ${op};
}
