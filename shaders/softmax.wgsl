// Along the rows of x [rows, classes], a workgroup to a row. `plain`: exp(x - max) / sum. `cross_entropy`: for the
// class id of each row, max + log(sum exp(x - max)) - x[id]; an id that is no class counts as 0 beside the log-sum.
#axis result plain
#axis result cross_entropy
#name softmax {result}

struct Params {
    rows: u32,
    classes: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#if result cross_entropy
@group(0) @binding(3) var<storage, read> ids: array<f32>;
#endif

#import grid
#import math

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = folded(group, groups);
    if row >= params.rows {
        return;
    }
    let base = row * params.classes;
    // Invocations past the last class start from the first one.
    var largest = x[base + lane % params.classes];
    for (var c = lane; c < params.classes; c += 64u) {
        largest = max(largest, x[base + c]);
    }
    parts[lane] = largest;
    workgroupBarrier();
    for (var step = 32u; step > 0u; step /= 2u) {
        if lane < step {
            parts[lane] = max(parts[lane], parts[lane + step]);
        }
        workgroupBarrier();
    }
    largest = parts[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var c = lane; c < params.classes; c += 64u) {
        sum += exp_f32(x[base + c] - largest);
    }
    parts[lane] = sum;
    workgroupBarrier();
    for (var step = 32u; step > 0u; step /= 2u) {
        if lane < step {
            parts[lane] += parts[lane + step];
        }
        workgroupBarrier();
    }
    sum = parts[0];
#if result cross_entropy
    if lane == 0u {
        // A negative id would convert to 0.
        var chosen = 0.0;
        if ids[row] >= 0.0 && ids[row] < f32(params.classes) {
            chosen = x[base + u32(ids[row])];
        }
        out[row] = log_f32(sum) + (largest - chosen);
    }
#else
    for (var c = lane; c < params.classes; c += 64u) {
        out[base + c] = exp_f32(x[base + c] - largest) / sum;
    }
#endif
}
