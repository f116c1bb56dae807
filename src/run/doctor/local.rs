//! This machine: its clock, descriptors, disk, folders. Facts are taken without touching anything; what
//! they amount to is pure.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use crate::config::Config;
use crate::report::doctor_summary::{Line, State};
use crate::report::text::number;
use crate::run::beginning::MOST_CLOCK_OFFSET_MS;
use crate::run::memory;

use super::evidence::Seen;

/// Files, journals and the runtime's own descriptors beside the connections.
const OTHER_DESCRIPTORS: u64 = 128;
/// Below this the journal of a large organization does not fit.
const LEAST_FREE_BYTES: u64 = 256 * 1024 * 1024;

/// The clock's offset to AWS's `Date`, where AWS answered at all; local time minus AWS's.
pub fn clock(offset_ms: Option<i64>) -> Vec<Line> {
    let most = MOST_CLOCK_OFFSET_MS / 1000;
    vec![match offset_ms {
        None => Line::new(State::Unknown, "needs an answer of AWS"),
        Some(ms) if ms.abs() > MOST_CLOCK_OFFSET_MS => {
            let what = format!("{} s off AWS's; {most} s are allowed", ms / 1000);
            Line::fail(what, "set the clock (NTP): timedatectl set-ntp true")
        }
        Some(ms) => Line::pass(format!("{:.1} s off AWS's", ms.abs() as f64 / 1000.0)),
    }]
}

/// How many files this process may have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptors {
    AtMost(u64),
    Unlimited,
    /// The system does not tell.
    Unknown,
}

impl Descriptors {
    /// The soft limit of this process.
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/limits");
        text.map_or(Self::Unknown, |text| Self::of_limits(&text))
    }

    /// Reads `/proc/self/limits` (proc_pid_limits(5)).
    fn of_limits(text: &str) -> Self {
        let mut lines = text.lines();
        let soft = lines
            .find_map(|line| line.strip_prefix("Max open files"))
            .and_then(|rest| rest.split_whitespace().next());
        match soft {
            Some("unlimited") => Self::Unlimited,
            Some(n) => n.parse().map_or(Self::Unknown, Self::AtMost),
            None => Self::Unknown,
        }
    }
}

/// How fast AWS is asked, and whether this machine lets it.
pub fn quotas(config: &Config, calls: i64, throttles: i64, limit: &Descriptors) -> Vec<Line> {
    let share = config.quota_share * 100.0;
    let mut lines = vec![Line::pass(format!(
        "{share:.0} % of AWS's documented rates (quota_share), {} requests in flight",
        config.concurrency
    ))];
    if throttles > 0 {
        let (throttles, calls) = (number(throttles), number(calls));
        let what = format!("AWS throttled {throttles} of {calls} calls: others use the same quota");
        lines.push(Line::note(what).next("lower quota_share, or run at another hour"));
    }
    // Connections that are done with stay open for a while.
    let need = 2 * config.concurrency as u64 + OTHER_DESCRIPTORS;
    lines.push(match limit {
        Descriptors::Unlimited => Line::pass("as many open files as it takes"),
        Descriptors::AtMost(n) if *n >= need => {
            Line::pass(format!("{n} open files are allowed, {need} may be needed"))
        }
        Descriptors::AtMost(n) => {
            let what = format!("{n} open files are allowed, and {need} may be needed");
            Line::fail(what, format!("ulimit -n {need}, or lower concurrency"))
        }
        Descriptors::Unknown => Line::new(
            State::Untold,
            format!("how many open files are allowed; {need} may be needed (ulimit -n)"),
        ),
    });
    lines
}

/// The folders that a run works in, and what this machine remembers.
pub fn machine(config: &Config, seen: Option<&Seen>) -> Vec<Line> {
    let base = config.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut lines = work(&base, "work folder", "--work-dir");
    match can_make(&config.state_dir) {
        Err(detail) => lines.push(Line::fail(
            format!("state folder: {detail}"),
            "name another --state-dir, or mend that folder",
        )),
        Ok(()) => {
            lines.extend(open_to_others(
                &config.state_dir,
                "state folder",
                "--state-dir",
            ));
            lines.push(remembered(config, seen));
        }
    }
    lines
}

/// What this machine remembers of the archive, against what is there.
fn remembered(config: &Config, seen: Option<&Seen>) -> Line {
    let folder = config.state_dir.display();
    let Some(seen) = seen else {
        // Memory alone can be looked at.
        return match memory::look(config, &config.archive.to_string()) {
            Ok(()) => Line::pass(format!("state folder {folder} can be read")),
            Err(error) => Line::new(State::Fail, error.to_string()),
        };
    };
    let url = seen.archive.url();
    let compared = match &seen.chain {
        Some(chain) => memory::check(config, &url, chain),
        None => memory::look(config, &url),
    };
    match compared {
        Ok(()) => Line::pass(format!(
            "state folder {folder} says nothing against the archive"
        )),
        Err(error) => Line::new(State::Fail, error.to_string()),
    }
}

/// The folder that local progress lies in.
fn work(folder: &Path, what: &str, flag: &str) -> Vec<Line> {
    if let Err(detail) = can_make(folder) {
        let next = format!("name another {flag}, or mend that folder");
        return vec![Line::fail(format!("{what}: {detail}"), next)];
    }
    let mut lines = Vec::new();
    lines.extend(open_to_others(folder, what, flag));
    lines.push(match free_bytes(folder) {
        Some(free) => space(folder, free, what, flag),
        None => {
            let what = format!("how much room there is for the {what} {}", folder.display());
            Line::new(State::Untold, what)
        }
    });
    lines
}

fn space(folder: &Path, free: u64, what: &str, flag: &str) -> Line {
    const MIB: u64 = 1024 * 1024;
    let said = format!(
        "{what} {}: {} MiB free",
        folder.display(),
        number((free / MIB) as i64)
    );
    if free < LEAST_FREE_BYTES {
        let least = LEAST_FREE_BYTES / MIB;
        return Line::fail(
            format!("{said}, and {least} MiB is the least"),
            format!("make room, or name another {flag}"),
        );
    }
    Line::pass(said)
}

/// A folder in which others may replace what lies there. A sticky one, such as /tmp, is safe.
fn open_to_others(folder: &Path, what: &str, flag: &str) -> Option<Line> {
    let about = std::fs::metadata(folder).ok()?;
    let mode = about.mode() & 0o7777;
    if mode & 0o002 == 0 || mode & 0o1000 != 0 {
        return None;
    }
    let said = format!(
        "{what} {} may be changed by others (mode {mode:04o})",
        folder.display()
    );
    let next = format!("chmod 700 {}, or name another {flag}", folder.display());
    Some(Line::fail(said, next))
}

/// Whether a folder or file could be made at `path`, or is a folder that may be written to; nothing is
/// made.
pub fn can_make(path: &Path) -> Result<(), String> {
    let (nearest, about) = nearest(path)?;
    if !about.is_dir() {
        return Err(format!("{} is not a folder", nearest.display()));
    }
    access(&nearest, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|e| format!("{} may not be written to: {e}", nearest.display()))
}

/// The path itself, or the nearest folder above it that is there.
fn nearest(path: &Path) -> Result<(PathBuf, Metadata), String> {
    let path = std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut last = format!("{} is nowhere", path.display());
    for above in path.ancestors() {
        match std::fs::metadata(above) {
            Ok(about) => return Ok((above.to_owned(), about)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                // A link that leads nowhere is in the way of what would be made.
                if above.is_symlink() {
                    return Err(format!("{} is a link to nothing", above.display()));
                }
            }
            // Below a file there is nothing; the file itself is told.
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(e) => {
                last = format!("{}: {e}", above.display());
                break;
            }
        }
    }
    Err(last)
}

fn free_bytes(folder: &Path) -> Option<u64> {
    let (nearest, _) = nearest(folder).ok()?;
    let about = statvfs(&nearest).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::accounts::tests::config;
    use super::*;
    use crate::report::doctor_summary::{Check, Outcome};
    use crate::testkit::TempDir;

    fn outcome(lines: Vec<Line>) -> Outcome {
        Check { name: "x", lines }.outcome()
    }

    #[test]
    fn a_minute_is_the_most() {
        for (offset, expected) in [
            (None, Outcome::Unknown),
            (Some(0), Outcome::Pass),
            (Some(-60_000), Outcome::Pass),
            (Some(60_001), Outcome::Fail),
            (Some(-3_600_000), Outcome::Fail),
            (Some(i64::MAX), Outcome::Fail),
        ] {
            assert_eq!(outcome(clock(offset)), expected, "{offset:?}");
        }
    }

    #[test]
    fn limits_are_read_as_linux_writes_them() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             unlimited            unlimited            processes \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(Descriptors::of_limits(text), Descriptors::AtMost(1024));
        let text = text.replace("1024 ", "unlimited ");
        assert_eq!(Descriptors::of_limits(&text), Descriptors::Unlimited);
        for text in ["", "Max open files", "Max open files many"] {
            assert_eq!(Descriptors::of_limits(text), Descriptors::Unknown, "{text}");
        }
    }

    #[test]
    fn descriptors_have_to_do_for_the_requests_in_flight() {
        let config = config(&[("concurrency", "64")]);
        for (limit, expected) in [
            (Descriptors::AtMost(255), Outcome::Fail),
            (Descriptors::AtMost(256), Outcome::Pass),
            (Descriptors::Unlimited, Outcome::Pass),
            (Descriptors::Unknown, Outcome::Pass),
        ] {
            assert_eq!(
                outcome(quotas(&config, 10, 0, &limit)),
                expected,
                "{limit:?}"
            );
        }
        let lines = quotas(&config, 1_000, 20, &Descriptors::Unlimited);
        let told = lines
            .iter()
            .any(|line| line.what.contains("20 of 1,000 calls"));
        assert!(told, "{lines:?}");
    }

    #[test]
    fn a_full_disk_fails() {
        let of = |free| {
            outcome(vec![space(
                Path::new("/x"),
                free,
                "work folder",
                "--work-dir",
            )])
        };
        assert_eq!(of(LEAST_FREE_BYTES - 1), Outcome::Fail);
        assert_eq!(of(LEAST_FREE_BYTES), Outcome::Pass);
        assert_eq!(of(u64::MAX), Outcome::Pass);
    }

    #[test]
    fn what_cannot_be_made_is_named_and_nothing_is_made() {
        let dir = TempDir::new();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "mine").expect("file");
        std::os::unix::fs::symlink(at("nothing"), at("link")).expect("link");
        assert_eq!(can_make(dir.path()), Ok(()));
        assert_eq!(can_make(&at("a/b/c")), Ok(()));
        for (name, part) in [
            ("file", "is not a folder"),
            ("file/below", "is not a folder"),
            ("link", "is a link to nothing"),
            ("link/below", "is a link to nothing"),
        ] {
            let refused = can_make(&at(name)).expect_err(name);
            assert!(refused.contains(part), "{name}: {refused}");
        }
        // For root, too, there is no writing below /proc.
        let refused = can_make(Path::new("/proc/keyproof")).is_err();
        assert!(refused || rustix_says_writable("/proc"));
        let left = std::fs::read_dir(dir.path()).expect("list").count();
        assert_eq!(left, 2);
    }

    /// access(2) of root: some systems say that /proc may be written to.
    fn rustix_says_writable(path: &str) -> bool {
        access(path, Access::WRITE_OK).is_ok()
    }

    #[test]
    fn a_folder_that_others_may_change_fails_unless_it_is_sticky() {
        let dir = TempDir::new();
        let folder = dir.path().join("work");
        std::fs::create_dir(&folder).expect("folder");
        for (mode, open) in [
            (0o700, false),
            (0o755, false),
            (0o1777, false),
            (0o770, false),
            (0o777, true),
        ] {
            let mode_of = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&folder, mode_of).expect("mode");
            let found = open_to_others(&folder, "work folder", "--work-dir").is_some();
            assert_eq!(found, open, "{mode:o}");
        }
        assert!(open_to_others(&dir.path().join("none"), "x", "y").is_none());
    }
}
