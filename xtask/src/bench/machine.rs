//! This file says on what a benchmark was run.

use crate::process;
use std::process::Command;

/// The machine that everything ran on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its processor, as the kernel calls it.
    pub processor: String,
    /// How many of them.
    pub processors: usize,
    /// The kernel.
    pub kernel: String,
    /// What else was running at the beginning, as the load average of a minute.
    pub load: String,
    /// Whether it is itself a guest.
    pub is_virtual: bool,
    /// The compiler.
    pub compiler: String,
    /// The day.
    pub day: String,
}

impl Machine {
    /// This machine; what it does not tell is said so.
    pub fn read() -> Self {
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = processors.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(": "));
            value.map(|(_, value)| value.to_string())
        };
        let say = |program: &str, arguments: &[&str]| {
            let said = process::capture(Command::new(program).args(arguments));
            said.map_or_else(|_| "unknown".to_string(), |text| text.trim().to_string())
        };
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            processor: field("model name").unwrap_or_else(|| "unknown".to_string()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: say("uname", &["-sr"]),
            load: load.split(' ').next().unwrap_or("unknown").to_string(),
            is_virtual: field("flags").is_some_and(|flags| flags.contains("hypervisor")),
            compiler: say("rustc", &["--version"]),
            day: say("date", &["-u", "+%Y-%m-%d"]),
        }
    }
}
