//! What the system says of this process, where it has `/proc`; nothing elsewhere.

use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use super::names;
use super::samples::Samples;

/// Ticks of the processor time in `/proc/self/stat` a second: Linux tells user space 100, whatever it uses itself.
const TICKS: f64 = 100.0;

/// When figures were first asked for, less what the process had run by then.
static STARTED: OnceLock<f64> = OnceLock::new();

/// Adds processor time, memory, open files and the time of the start.
pub fn collect(samples: &mut Samples) {
    // The fields after the name of the program, which may itself hold spaces: proc(5).
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0.0))
        .collect();
    let (Some(user), Some(system), Some(began)) = (fields.get(11), fields.get(12), fields.get(19))
    else {
        return;
    };
    samples.add(&names::PROCESS_CPU, &[], (user + system) / TICKS);
    if let Some(memory) = resident_bytes() {
        samples.add(&names::PROCESS_MEMORY, &[], memory);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        samples.add(
            &names::PROCESS_FILES,
            &[],
            files.count().saturating_sub(1) as f64,
        );
    }
    let started = STARTED.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let uptime = uptime
            .split_whitespace()
            .next()
            .and_then(|s| s.parse::<f64>().ok());
        now.unwrap_or_default().as_secs_f64() - uptime.unwrap_or_default() + began / TICKS
    });
    samples.add(&names::PROCESS_START, &[], *started);
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}
