// The second pass of a product whose k was split: out[i] = act(sum over s of partial[s, i] + bias[i % n]), the
// parts added in order.
#axis bias plain
#axis bias bias

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
#if bias bias
@group(0) @binding(3) var<storage, read> bias: array<f32>;
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
#if bias bias
    sum += bias[i % params.n];
#endif
    out[i] = activate(sum);
}
