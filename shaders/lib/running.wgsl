// Running statistics that new ones enter: y = y + t (b - y), for the earlier batches' b0 and b1, if there are such,
// and then for the new value. FIRST is the number of their first binding.
#if level running_1 running_2 running_3
@group(0) @binding(FIRST) var<storage, read_write> running: array<f32>;
@group(0) @binding(FIRST + 1) var<storage, read> t: array<f32>;
#endif
#if level running_2 running_3
@group(0) @binding(FIRST + 2) var<storage, read> b0: array<f32>;
#endif
#if level running_3
@group(0) @binding(FIRST + 3) var<storage, read> b1: array<f32>;
#endif

fn advance(at: u32, value: f32) {
#if level running_1 running_2 running_3
    var y = running[at];
#if level running_2 running_3
    y = fma(t[0], b0[at] - y, y);
#endif
#if level running_3
    y = fma(t[0], b1[at] - y, y);
#endif
    running[at] = fma(t[0], value - y, y);
#endif
}
