// Up to twelve runs of numbers to one buffer, one run to each workgroup in z: each is the sum of the equal parts of
// a run of its source, added in order. A copy is the sum of one part.
struct Params {
    // Start in the source, start in out, length of each run.
    runs: array<vec4<u32>, 12>,
    // Number of the source, number of parts, from the start of one part to that of the next.
    parts: array<vec4<u32>, 12>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> source0: array<f32>;
@group(0) @binding(3) var<storage, read> source1: array<f32>;
@group(0) @binding(4) var<storage, read> source2: array<f32>;
@group(0) @binding(5) var<storage, read> source3: array<f32>;
@group(0) @binding(6) var<storage, read> source4: array<f32>;
@group(0) @binding(7) var<storage, read> source5: array<f32>;
@group(0) @binding(8) var<storage, read> source6: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = folded(group, groups) * 256u + lane;
    let run = params.runs[group.z];
    let parts = params.parts[group.z];
    if i >= run.z {
        return;
    }
    let first = run.x + i;
    let end = first + parts.y * parts.z;
    // The first part is not added to zero: a copy keeps every bit, also of -0.
    var sum = 0.0;
    switch parts.x {
#unroll SOURCE 7
        case ${SOURCE}u: {
            sum = source${SOURCE}[first];
            for (var at = first + parts.z; at < end; at += parts.z) {
                sum += source${SOURCE}[at];
            }
        }
#endunroll
        default: {}
    }
    out[run.y + i] = sum;
}
