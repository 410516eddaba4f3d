// Windows of a pooling over an NHWC image, as Pool2dGeometry has them. Windows are cut to the image.
struct PoolingParams {
    batch: u32,
    in_h: u32,
    in_w: u32,
    channels: u32,
    out_h: u32,
    out_w: u32,
    size_h: u32,
    size_w: u32,
    stride_h: u32,
    stride_w: u32,
    pad_top: u32,
    pad_left: u32,
}

@group(0) @binding(0) var<uniform> params: PoolingParams;

// An element of an image of h x w pixels: its indices.
struct Place {
    image: u32,
    i: u32,
    j: u32,
    channel: u32,
}

fn place_of(at: u32, h: u32, w: u32) -> Place {
    let pixel = at / params.channels;
    let line = pixel / w;
    return Place(line / h, line % h, pixel % w, at % params.channels);
}

fn in_at(image: u32, i: u32, j: u32, channel: u32) -> u32 {
    return ((image * params.in_h + i) * params.in_w + j) * params.channels + channel;
}

fn out_at(image: u32, i: u32, j: u32, channel: u32) -> u32 {
    return ((image * params.out_h + i) * params.out_w + j) * params.channels + channel;
}

// Image positions begin..end that window `number` covers along one axis.
fn window(number: u32, size: u32, stride: u32, pad: u32, length: u32) -> vec2<u32> {
    let start = number * stride;
    return vec2(max(start, pad) - pad, min(max(start + size, pad) - pad, length));
}

// Windows begin..end that cover image position `at` along one axis.
fn windows_over(at: u32, size: u32, stride: u32, pad: u32, count: u32) -> vec2<u32> {
    let last = at + pad;
    let begin = select(0u, (last - size) / stride + 1u, last >= size);
    return vec2(begin, min(last / stride + 1u, count));
}
