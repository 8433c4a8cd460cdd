//! What the system says of itself, and of this process.

use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

const SECOND: i64 = 1_000_000_000;

/// The id of this boot; `None` where the system does not say it.
pub(crate) fn boot_id() -> Option<[u64; 2]> {
    parse_boot_id(&fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
}

fn parse_boot_id(text: &str) -> Option<[u64; 2]> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let half = |from: usize| u64::from_str_radix(digits.get(from..from + 16)?, 16).ok();
    Some([half(0)?, half(16)?])
}

/// Nanoseconds of the machine's monotonic clock, the same in every namespace.
pub(crate) fn monotonic(ahead: i64) -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let nanos = time.tv_sec.wrapping_mul(SECOND).wrapping_add(time.tv_nsec).wrapping_sub(ahead);
    u64::try_from(nanos).unwrap_or(0)
}

/// Nanoseconds that the clock of this time namespace is ahead of the machine's.
pub(crate) fn clock_ahead() -> i64 {
    fs::read_to_string("/proc/self/timens_offsets").map_or(0, |text| parse_clock_ahead(&text))
}

/// Whether the kernel takes its time from the processor's counter: it has found it to be the same for all cores. `None`
/// where it does not say.
pub(crate) fn trusts_counter() -> Option<bool> {
    let source =
        fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource").ok()?;
    Some(source.trim() == "tsc")
}

fn parse_clock_ahead(text: &str) -> i64 {
    let line = text.lines().find(|line| line.starts_with("monotonic")).unwrap_or_default();
    let mut numbers = line.split_whitespace().skip(1).map_while(|number| number.parse::<i64>().ok());
    let (seconds, nanos) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    seconds.saturating_mul(SECOND).saturating_add(nanos)
}

/// The bytes that the control group of this process has left; `None` where nothing limits them.
pub(crate) fn memory_left() -> Option<u64> {
    let group = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = Path::new("/sys/fs/cgroup").join(group.trim_start_matches('/'));
    let folders = folder.ancestors().take_while(|folder| folder.starts_with("/sys/fs/cgroup"));
    folders.filter_map(memory_left_in).min()
}

fn memory_left_in(folder: &Path) -> Option<u64> {
    let number = |file| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    // `max`, which is no number, limits nothing.
    let (most, used) = (number("memory.max")?, number("memory.current").unwrap_or(0));
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    Some(most.saturating_sub(used.saturating_sub(reclaimable(&stat))))
}

/// The bytes of files on disk that the kernel drops from memory before it kills. Files in memory are not among them.
fn reclaimable(stat: &str) -> u64 {
    let fields = stat.lines().filter_map(|line| line.split_once(' '));
    let of_files = fields.filter(|(field, _)| matches!(*field, "inactive_file" | "active_file"));
    of_files.filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok()).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_id_of_a_boot() {
        let text = "01234567-89ab-cdef-0011-223344556677\n";
        assert_eq!(parse_boot_id(text), Some([0x0123_4567_89ab_cdef, 0x0011_2233_4455_6677]));
        assert_eq!(parse_boot_id(""), None);
        assert_eq!(boot_id(), boot_id());
        assert!(boot_id().is_some());
    }

    #[test]
    fn reads_how_far_a_time_namespace_is_ahead() {
        assert_eq!(parse_clock_ahead("monotonic           0         0\nboottime  5 0"), 0);
        assert_eq!(parse_clock_ahead("monotonic      100000         7\n"), 100_000_000_000_007);
        assert_eq!(parse_clock_ahead("monotonic -5 0"), -5_000_000_000);
        assert_eq!(parse_clock_ahead("monotonic 9223372036854775807 1"), i64::MAX);
        assert_eq!(parse_clock_ahead("nothing"), 0);
    }

    #[test]
    fn says_what_a_group_has_left() {
        let folder = tempfile::tempdir().expect("room");
        assert_eq!(memory_left_in(folder.path()), None);
        let write = |file, text| fs::write(folder.path().join(file), text).expect("room");
        write("memory.max", "max\n");
        assert_eq!(memory_left_in(folder.path()), None);
        write("memory.max", "1000\n");
        write("memory.current", "400\n");
        assert_eq!(memory_left_in(folder.path()), Some(600));
        write("memory.current", "1400\n");
        assert_eq!(memory_left_in(folder.path()), Some(0));
        write("memory.stat", "anon 700\nfile 650\nshmem 50\ninactive_file 400\nactive_file 200\nslab 9\n");
        assert_eq!(memory_left_in(folder.path()), Some(200), "what caches files on disk is dropped");
        write("memory.current", "500\n");
        assert_eq!(memory_left_in(folder.path()), Some(1_000), "numbers of two moments");
    }
}
