//! How much memory the process has used.

/// The largest resident set of this process so far, in MB (10^6 bytes), as Linux counts it (`VmHWM` in
/// `/proc/self/status`). `None` on systems that do not say it there.
pub fn peak_resident_mb() -> Option<f64> {
    parse_status(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_status(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_kib() {
        assert_eq!(parse_status("Name:\tx\nVmHWM:\t  1000 kB\nVmRSS:\t 5 kB\n"), Some(1.024));
        assert_eq!(parse_status("Name:\tx\nVmRSS:\t 5 kB\n"), None);
        assert_eq!(parse_status("VmHWM:\tmany kB\n"), None);
    }
}
