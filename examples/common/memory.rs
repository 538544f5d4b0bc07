//! The peak memory of the program.

/// The peak resident set size in bytes, on Linux. (That of `getrusage` also counts the process
/// that started this one.)
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// `, peak memory 240 MiB`, or an empty string if the system does not report it.
pub fn note() -> String {
    peak_rss_bytes().map_or_else(String::new, |bytes| {
        format!(", peak memory {} MiB", bytes >> 20)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_stays_after_memory_is_freed() {
        let size: usize = 64 << 20;
        let before = peak_rss_bytes().unwrap();
        drop(std::hint::black_box(vec![1u8; size]));
        let after = peak_rss_bytes().unwrap();
        assert!(after >= before + size as u64 / 2, "{before} {after}");
    }
}
