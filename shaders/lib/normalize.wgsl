// xhat = (x - mean) / sqrt(variance + eps), from the importing file's `stats` [groups, 2, channels].
fn normalize_at(value: f32, group: u32, channel: u32) -> f32 {
    let at = group * 2u * params.channels + channel;
    return (value - stats[at]) * inverseSqrt(stats[at + params.channels] + params.eps);
}
