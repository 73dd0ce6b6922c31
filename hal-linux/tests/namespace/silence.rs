//! This file mounts a file system that never answers: its server takes the requests and then does
//! nothing.

use crate::skip::skip;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// FUSE_INIT, and the sizes of `struct fuse_in_header`, `fuse_out_header` and `fuse_init_out`.
const INIT: u32 = 26;
const IN_HEADER_BYTES: usize = 40;
const OUT_HEADER_BYTES: usize = 16;
const INIT_OUT_BYTES: usize = 64;

/// The server of such a file system. When it is dropped, the kernel gives up all requests.
pub struct Silence {
    over: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
    server: Option<JoinHandle<()>>,
}

impl Silence {
    /// Mounts where `path` says, as a process sees it; `None`, said loudly, where there is no FUSE.
    pub fn mounted(path: &str, pid: u32) -> Option<Self> {
        let Ok(device) = File::options().read(true).write(true).open("/dev/fuse") else {
            skip("/dev/fuse cannot be opened; `modprobe fuse` as root brings it");
            return None;
        };
        let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
        let mounted = Command::new("nsenter")
            .args(["--target", &pid.to_string(), "--mount", "--"])
            .args(["mount", "-i", "-t", "fuse", "-o", options, "silence", path])
            .stdin(device.try_clone().expect("descriptors are left"))
            .status();
        assert!(mounted.expect("nsenter starts").success(), "cannot mount");
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let held = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&held);
        let server = std::thread::spawn(move || serve(device, &told, &count));
        Some(Self {
            over,
            held,
            server: Some(server),
        })
    }

    /// How many requests it has taken: nothing ends who made them.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Answers the first request, without which nothing works, and reads all others.
fn serve(mut device: File, over: &AtomicBool, held: &AtomicUsize) {
    let mut request = vec![0; 1 << 17];
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    while !over.load(Ordering::Relaxed) {
        let mut looked_at = [PollFd::new(&device, PollFlags::IN)];
        if !matches!(poll(&mut looked_at, Some(&pause)), Ok(1..)) {
            continue;
        }
        let Ok(count) = device.read(&mut request) else {
            return;
        };
        let is_first = request[4..8] == INIT.to_ne_bytes();
        if count < IN_HEADER_BYTES || !is_first {
            // Read, and never answered: from here on not even SIGKILL ends who asked.
            held.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let mut answer = [0; OUT_HEADER_BYTES + INIT_OUT_BYTES];
        let length = u32::try_from(answer.len()).expect("it is small");
        answer[..4].copy_from_slice(&length.to_ne_bytes());
        answer[8..16].copy_from_slice(&request[8..16]);
        // The version that the kernel speaks, and the largest write.
        answer[16..24].copy_from_slice(&request[40..48]);
        answer[36..40].copy_from_slice(&4_096_u32.to_ne_bytes());
        device.write_all(&answer).expect("the kernel takes it");
    }
}
