//! What one slice took, and the watch that measures it.

use std::time::Instant;

#[derive(Default)]
pub struct Slice {
    pub ops: usize,
    pub cpu_ns: i64,
    pub wall_ns: i64,
    pub size_bytes: i64,
}

impl Slice {
    /// Answers the request.
    pub fn say(&self) {
        println!(
            "{{\"ops\": {}, \"cpu_ns\": {}, \"wall_ns\": {}, \"size_bytes\": {}}}",
            self.ops, self.cpu_ns, self.wall_ns, self.size_bytes
        );
    }
}

fn cpu_ns() -> i64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(status, 0);
    now.tv_sec as i64 * 1_000_000_000 + now.tv_nsec as i64
}

/// Measures the part of a slice that counts; may be started several times.
#[derive(Default)]
pub struct Watch {
    pub cpu_ns: i64,
    pub wall_ns: i64,
    since: Option<(i64, Instant)>,
}

impl Watch {
    pub fn started() -> Self {
        let mut watch = Self::default();
        watch.start();
        watch
    }

    pub fn start(&mut self) {
        self.since = Some((cpu_ns(), Instant::now()));
    }

    pub fn stop(&mut self) {
        let (cpu, wall) = self.since.take().expect("a watch that runs");
        self.wall_ns += wall.elapsed().as_nanos() as i64;
        self.cpu_ns += cpu_ns() - cpu;
    }

    pub fn slice(&self, ops: usize) -> Slice {
        Slice {
            ops,
            cpu_ns: self.cpu_ns,
            wall_ns: self.wall_ns,
            size_bytes: 0,
        }
    }
}

/// Counted page by page: the figures in status and statm lag.
pub fn resident_bytes() -> i64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").expect("smaps_rollup");
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<i64>().ok()).expect("Rss") * 1024
}
