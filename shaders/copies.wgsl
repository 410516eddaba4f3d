// Copies of up to six runs of numbers to one buffer, one run to each workgroup in z.
struct Params {
    // Start in the source, start in out, length of each run.
    runs: array<vec4<u32>, 6>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<storage, read> source0: array<f32>;
@group(0) @binding(3) var<storage, read> source1: array<f32>;
@group(0) @binding(4) var<storage, read> source2: array<f32>;
@group(0) @binding(5) var<storage, read> source3: array<f32>;
@group(0) @binding(6) var<storage, read> source4: array<f32>;
@group(0) @binding(7) var<storage, read> source5: array<f32>;

#import grid

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = folded(group, groups) * 256u + lane;
    let run = params.runs[group.z];
    if i >= run.z {
        return;
    }
    let read_at = run.x + i;
    let write_at = run.y + i;
    switch group.z {
        case 0u: { out[write_at] = source0[read_at]; }
        case 1u: { out[write_at] = source1[read_at]; }
        case 2u: { out[write_at] = source2[read_at]; }
        case 3u: { out[write_at] = source3[read_at]; }
        case 4u: { out[write_at] = source4[read_at]; }
        default: { out[write_at] = source5[read_at]; }
    }
}
