// The second pass of a product whose k was split: adds partial[s, i] over s in order and applies the epilogue (see
// lib/store.wgsl) of a result with n columns.
#axis epilogue plain
#axis epilogue bias
#axis epilogue grad

struct Params {
    count: u32,
    n: u32,
    splits: u32,
    activation: u32,
    slope: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#if epilogue bias grad
@group(0) @binding(3) var<storage, read> extra: array<f32>;
#endif

#import grid
#import epilogue

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
    var sum = 0.0;
    for (var s = 0u; s < params.splits; s++) {
        sum += partial[s * params.count + i];
    }
#if epilogue plain
    out[i] = activate(sum);
#endif
#if epilogue bias
    out[i] = activate(sum + extra[i % params.n]);
#endif
#if epilogue grad
    out[i] = activate_grad(extra[i], sum);
#endif
}
