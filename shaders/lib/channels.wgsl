// Reductions over the rows of x [groups, rows, channels], per group and channel, in two levels. A workgroup of 256
// takes `width` neighbouring channels (a power of two, at most 64) of one chunk of rows: 256 / width invocations
// share a channel. Workgroups are numbered by channel block, then chunk; z is the group.
struct ChannelsParams {
    channels: u32,
    // Rows of one group, rows of one chunk, chunks of one group.
    rows: u32,
    chunk_rows: u32,
    chunks: u32,
    width: u32,
    eps: f32,
    // See lib/epilogue.wgsl.
    activation: u32,
    slope: f32,
}

@group(0) @binding(0) var<uniform> params: ChannelsParams;

struct Part {
    channel: u32,
    chunk: u32,
    // Rows of this invocation: begin, begin + step, ... below end, counted over all groups.
    begin: u32,
    end: u32,
    step: u32,
}

fn part_of(number: u32, group: u32, lane: u32) -> Part {
    let blocks = (params.channels + params.width - 1u) / params.width;
    let chunk = number / blocks;
    let first = chunk * params.chunk_rows;
    return Part(
        number % blocks * params.width + lane % params.width,
        chunk,
        group * params.rows + min(first + lane / params.width, params.rows),
        group * params.rows + min(first + params.chunk_rows, params.rows),
        256u / params.width,
    );
}
