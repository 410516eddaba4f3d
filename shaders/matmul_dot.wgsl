// c = a op(b) with an epilogue (see lib/store.wgsl) where b has few columns: 64 invocations share each result's sum over k.
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad

struct Params {
    m: u32,
    n: u32,
    k: u32,
    // b[k, column] is at k * b_stride_k + column * b_stride_n.
    b_stride_k: u32,
    b_stride_n: u32,
    activation: u32,
    slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
#if epilogue bias grad
@group(0) @binding(4) var<storage, read> extra: array<f32>;
#endif

#import grid
#import epilogue

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = folded(group, groups);
    if at >= params.m * params.n {
        return;
    }
    let row = at / params.n * params.k;
    let column = at % params.n;
    var sum = 0.0;
    for (var k = lane; k < params.k; k += 64u) {
        sum = fma(a[row + k], b[k * params.b_stride_k + column * params.b_stride_n], sum);
    }
    parts[lane] = sum;
    workgroupBarrier();
    for (var step = 32u; step > 0u; step /= 2u) {
        if lane < step {
            parts[lane] += parts[lane + step];
        }
        workgroupBarrier();
    }
    if lane == 0u {
#if epilogue plain
        out[at] = activate(parts[0]);
#endif
#if epilogue bias
        out[at] = activate(parts[0] + extra[column]);
#endif
#if epilogue grad
        out[at] = activate_grad(extra[at], parts[0]);
#endif
    }
}
