//! How much memory there is: the machine's, or less where a container may not have all of it.

use std::fs;
use std::path::Path;

/// Taken where the system does not tell.
const UNKNOWN_BYTES: usize = 4 << 30;

/// Memory in bytes that this process could have.
pub fn machine_memory_bytes() -> usize {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let container = limit_files(&groups).iter().filter_map(|path| limit(&fs::read_to_string(path).ok()?)).min();
    machine.into_iter().chain(container).min().unwrap_or(UNKNOWN_BYTES)
}

/// `MemTotal` of /proc/meminfo.
fn total(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that limit the memory of a process whose /proc/self/cgroup is `groups`, in both forms that Linux has: of its group and of
/// all groups around it. Within a container its group may stand at the root.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let around = Path::new(group).ancestors().map(|at| at.display().to_string());
        files.extend(around.map(|at| format!("{root}{}/{file}", at.trim_end_matches('/'))));
    }
    files
}

/// "max" where there is no limit, and a number beyond all memory in the older form.
fn limit(text: &str) -> Option<usize> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("MemTotal:       24671688 kB\nMemFree: 1 kB\n"), Some(24_671_688 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(machine_memory_bytes() > 1 << 24);
    }

    #[test]
    fn the_limits_of_all_groups_around_count() {
        let unified = ["/a/b/memory.max", "/a/memory.max", "/memory.max"].map(|f| format!("/sys/fs/cgroup{f}"));
        assert_eq!(limit_files("0::/a/b\n"), unified);
        let older = ["/c/memory.limit_in_bytes", "/memory.limit_in_bytes"].map(|f| format!("/sys/fs/cgroup/memory{f}"));
        assert_eq!(limit_files("5:cpu,cpuacct:/x\n4:memory:/c\n"), older);
        assert_eq!((limit("max\n"), limit("1048576\n")), (None, Some(1 << 20)));
    }
}
