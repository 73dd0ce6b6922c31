//! This file is the Linux platform: all that process 1 holds, and how it starts and signals
//! processes.

use crate::carried::upgrades;
use crate::child::{self, Job, Standard};
use crate::children::{self, Children};
use crate::console::Console;
use crate::control::{self, Control};
use crate::events::{Source, Waiting};
use crate::handed::Intake;
use crate::left::{self, Left};
use crate::ready::{ReadySlot, ReadyTable};
use crate::region::{self, Region, SPLIT, at};
use crate::sys::fd::{self, Fd};
use crate::sys::kernel::Kernel;
use crate::sys::pool::Pool;
use crate::sys::process;
use crate::uses::uses;
use crate::watchdog::Watchdog;
use crate::{devices, heal, power, probe, setup};
use core::cell::Cell;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;
use init_core::checkpoint::words::store;
use init_core::event::Errno;
use init_core::hal::{Clock, Process};
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::time::Instant;
use init_core::unit::{Exec, KillScope, Manifest, Program, Readiness, Setup, Signal};
use linux_raw_sys::errno::{EAGAIN, ENOMEM};
use rustix::fd::AsFd;
use rustix::fs::Mode;
use rustix::system::{RebootCommand, reboot};

/// EBUSY.
const BUSY: Errno = Errno(16);

/// No unit's process: whatever is noted of it is nowhere.
const NOBODY: Child = Child {
    unit: UnitId(u16::MAX),
    generation: Generation(0),
    role: Role::Main,
};

/// Memory for as many units as the manifest has. A board keeps one in a static.
#[derive(Debug)]
pub struct Storage<const UNITS: usize> {
    children: [children::Slot; UNITS],
    ready: [ReadySlot; UNITS],
}

impl<const UNITS: usize> Storage<UNITS> {
    /// Memory in which nothing has happened.
    pub const fn new() -> Self {
        Self {
            children: [children::Slot::EMPTY; UNITS],
            ready: [const { ReadySlot::EMPTY }; UNITS],
        }
    }
}

impl<const UNITS: usize> Default for Storage<UNITS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Memory of the same size for every product: what clients sent.
/// It lies in a static, where it costs nothing in the file and is never moved.
/// What is always used comes first, so that it is in memory without the rest.
#[derive(Debug)]
#[repr(C)]
pub struct Buffers {
    pub(crate) region: MaybeUninit<Region>,
    pub(crate) clients: control::Clients,
}

impl Buffers {
    /// Nothing is in them.
    pub const fn new() -> Self {
        Self {
            clients: control::NO_CLIENTS,
            region: MaybeUninit::uninit(),
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// Process 1's hands and ears on Linux.
#[derive(Debug)]
pub struct Linux {
    pub(crate) manifest: &'static Manifest,
    pub(crate) waiting: Waiting,
    pub(crate) intake: Intake,
    pub(crate) console: Console,
    pub(crate) children: Children,
    pub(crate) ready: ReadyTable,
    pub(crate) control: Control,
    pub(crate) in_container: bool,
    pub(crate) kernel: Kernel,
    /// Where children start that share our memory; `None`: this kernel cannot, or not safely.
    pub(crate) pool: Option<Pool>,
    /// The time of this turn, once somebody has asked; it is over when process 1 has slept.
    pub(crate) now: Cell<Option<Instant>>,
    pub(crate) watchdog: Watchdog,
    /// Through which children send devices that are missing: where they arrive, where they are
    /// sent.
    pub(crate) way: Option<(Fd, Fd)>,
    /// What the kernel is told when the machine starts anew.
    pub(crate) restart_word: Option<&'static CStr>,
    /// What the next life finds.
    pub(crate) region: Region,
    /// The region's file, until this image takes over from another.
    pub(crate) heritage: Option<(Fd, &'static Region)>,
}

impl Linux {
    /// Takes the machine over: signals first, then Ctrl-Alt-Del, the console. With
    /// [`enter`](Self::enter) behind it, which finds this in its place: the caller builds it where
    /// it stays.
    ///
    /// Where there is not even memory for a few descriptors, a first life ends, and any other is
    /// begun anew until there is.
    #[inline(never)]
    pub fn new<const UNITS: usize>(
        manifest: &'static Manifest,
        storage: &'static mut Storage<UNITS>,
        left: Left,
    ) -> Self {
        let (region, kernel) = (left.region, left.region.kernel());
        if !left.is_heir() {
            process::close_on_exec_from(3, kernel);
        }
        rustix::process::umask(Mode::from_raw_mode(child::UMASK.into()));
        let _ = rustix::process::chdir(c"/");
        // Ctrl-Alt-Del comes as SIGINT from now on. Refused inside a container.
        let in_container = reboot(RebootCommand::CadOff).is_err();
        if !left.is_heir() {
            power::ensure_proc();
        }
        Self {
            manifest,
            waiting: Waiting::new(),
            intake: Intake::new(region.head),
            console: Console::open(region, in_container),
            children: Children::new(&mut storage.children),
            ready: ReadyTable::new(&mut storage.ready),
            control: Control::new(left.clients),
            in_container,
            kernel,
            pool: pool(kernel),
            now: Cell::new(None),
            watchdog: Watchdog::new(),
            way: None,
            restart_word: None,
            region: *region,
            heritage: left.file.map(|file| (file, region)),
        }
    }

    /// Goes on where the life before this one ended, and opens the control socket.
    #[inline(never)]
    pub fn enter(&mut self, is_heir: bool) {
        self.console.note(&self.region);
        if region::HEALS && is_heir {
            if self.followed_a_fault() {
                self.tell_death();
                self.escalate(false);
            }
            self.inherit();
            self.inherit_devices();
            if self.control.listener.is_none() || self.is_to_look() {
                self.look_again(self.control.listener.is_none());
            }
            // Should this life end before it sleeps.
            self.console.drain();
            if let Some(code) = upgrades()
                && self.heritage.is_none()
                && self.region.get(at::OUTCOME) == heal::OUTCOME_UPGRADED
            {
                // The life before may have ended before it had closed that.
                (code.forget_image)(self);
            }
        } else {
            self.open_devices();
        }
    }

    /// As at the start, should somebody have lowered the limit since.
    pub(crate) fn ensure_descriptors(&self) {
        left::ensure_descriptors(self.manifest.units.len());
    }

    pub(crate) fn word(&self, child: Child) -> &'static AtomicU32 {
        let [_, _, word] = self.region.entry(child);
        word
    }

    /// Whether descriptor 0 is `/dev/null`.
    pub(crate) fn has_null(&self) -> bool {
        self.region.get(at::NULL) != 0
    }

    /// What a program's child does.
    fn job(&self, child: Child, exec: &'static Exec, pipe: Option<(u16, u8)>) -> Job {
        let console = self.console.is_device().then_some(self.manifest.console);
        Job {
            exec,
            word: self.word(child),
            marked: None,
            pipe,
            highest: fd::highest(),
            standard: Standard {
                console,
                null: self.has_null(),
            },
            kernel: self.kernel,
        }
    }

    /// Starts a program, on our own memory where that can be.
    fn start_program(
        &mut self,
        job: &Job,
        number: &'static AtomicU32,
        confirm: bool,
    ) -> Result<u32, Errno> {
        // The kernel gives a score to all processes that share the memory.
        if job.exec.context.oom_score.is_none()
            && let Some(pool) = &mut self.pool
        {
            match pool.start(job, number) {
                Some(Ok(pid)) => return Ok(pid),
                // For want of a process number or of memory, which a fork tells as well.
                Some(Err(error)) if matches!(u32::from(error.0), EAGAIN | ENOMEM) => {}
                // The kernel is older than its call's flag, or a filter refuses it.
                Some(Err(_)) => self.pool = None,
                None => {}
            }
        }
        match process::fork_noted(number)?.child() {
            None => {
                let marked = confirm.then_some(number);
                child::run(&Job { marked, ..*job })
            }
            Some(pid) => Ok(pid),
        }
    }

    /// Has a child of nobody's look for what is missing, and bind the control socket if it
    /// `binds`.
    #[inline(never)]
    pub(crate) fn look_again(&mut self, binds: bool) {
        let role = if binds { Role::Main } else { Role::Stop };
        let child = Child { role, ..NOBODY };
        let _ = self.start_helper(child, Program::None, Readiness::Exit);
    }

    /// Starts a child that runs our own code. [`NOBODY`]'s does nothing but what
    /// [`look_again`](Self::look_again) says.
    fn start_helper(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
    ) -> Result<u32, Errno> {
        let setup = self.manifest.setup(program);
        // What is mounted early is there before other set-up is done, /run among it.
        let binds = child.role == Role::Main && !setup.is_some_and(Setup::mounts);
        if binds {
            self.offer_socket();
        }
        let looks = (setup.is_some() || child.unit == NOBODY.unit) && self.has_way();
        let [number, ..] = self.region.entry(child);
        if let Some(pid) = process::fork_noted(number)?.child() {
            return Ok(pid);
        }
        // It takes its signals, can be reached as a group, and keeps nothing of process 1 open.
        let _ = rustix::process::setsid();
        let _ = crate::sys::signals::unblock_all();
        let spare = self.control.spare.as_ref().ok().filter(|_| binds);
        let first = if looks {
            self.keep_way()
        } else {
            devices::SENT_TO
        };
        process::close_from(first, spare.map(Fd::number), fd::highest(), self.kernel);
        let console = self.console.is_device().then_some(self.manifest.console);
        let name = self.manifest.unit(child.unit).map_or("", |unit| unit.name);
        let code = match (child.role, setup) {
            (Role::Probe, _) => probe::run(self.manifest.probe(ready)),
            (Role::Main | Role::Stop, Some(steps)) => setup::run(name, steps, console),
            (Role::Main | Role::Stop, None) => 0,
        };
        if looks {
            // Before the socket: callers wait in it until process 1 knows that it is bound.
            self.send_devices(console);
        }
        if binds {
            let name = match setup {
                Some(_) => control::BY_SET_UP,
                None => control::BY_NOBODY,
            };
            self.bind_spare(name, console);
        }
        process::exit(code)
    }

    /// A pipe that a program writes to when it is ready, watched.
    fn pipe_of(&self, child: Child) -> Result<(Fd, Fd), Errno> {
        let pipe = fd::pipe(true)?;
        self.watch_readiness(child, &pipe.0)?;
        Ok(pipe)
    }

    pub(crate) fn watch_readiness(&self, child: Child, end: &Fd) -> Result<(), Errno> {
        let source = Source::Ready(child.unit, child.generation);
        self.waiting.watch(end.as_fd(), source)
    }
}

/// The pool, if the kernel can and a child's death cannot be ours: before 5.16 a child that leaves
/// a core file takes all with it that share its memory, unless that must not leave one.
fn pool(kernel: Kernel) -> Option<Pool> {
    let may_share = kernel.clone3 && process::set_dumpable(false).is_ok();
    if may_share { Pool::take() } else { None }
}

impl Process for Linux {
    #[inline(never)]
    fn spawn(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        heal::made_progress();
        if let Some(pid) = self.children.pid(child) {
            // The life before may have ended right behind its start.
            self.region.set(at::STARTING, 0);
            return Ok(pid);
        }
        if SPLIT && let Some((_, pid)) = self.children.owner(child.unit, child.role) {
            // Whatever a core thinks, there is never a second.
            if !self.has_left(pid) {
                return Err(BUSY);
            }
        }
        self.begin_start(child)?;
        let [pid, generation, word] = self.region.entry(child);
        store(word, 0);
        store(pid, 0);
        store(generation, child.generation.0.into());
        let number = match ready {
            Readiness::Newline(number) if child.role == Role::Main => {
                uses().newlines.then_some(number)
            }
            _ => None,
        };
        let pipe = match number {
            Some(_) => {
                let pipe = self.pipe_of(child);
                Some(pipe.inspect_err(|_| self.region.set(at::STARTING, 0))?)
            }
            None => None,
        };
        let awaited = self.region.ready(child.unit);
        match &pipe {
            Some((end, _)) => region::note(awaited, Some(end)),
            None if confirm => store(awaited, region::EXECUTION),
            None => {}
        }
        let write_end = pipe.as_ref().map(|(_, end)| end.number()).zip(number);
        let started = match (child.role, self.manifest.exec(program)) {
            (Role::Main | Role::Stop, Some(exec)) => {
                self.start_program(&self.job(child, exec, write_end), pid, confirm)
            }
            _ => self.start_helper(child, program, ready),
        };
        if started.is_err() && (confirm || pipe.is_some()) {
            region::note(awaited, None);
        }
        self.region.set(at::STARTING, 0);
        let pid = started?;
        store(generation, region::noted_twice(child.generation, pid));
        self.children.insert(child, pid);
        match pipe {
            Some((read_end, _)) => self.ready.await_newline(child, read_end),
            None if confirm => self.ready.await_execution(child),
            None => {}
        }
        Ok(pid)
    }

    fn signal(&mut self, child: Child, signal: Signal, scope: KillScope) {
        let Some(pid) = self.children.pid(child) else {
            return;
        };
        let reached = match scope {
            KillScope::Process => false,
            KillScope::Group => process::signal_group(pid, signal.0).is_ok(),
        };
        if !reached {
            // Also when the child has not made its group yet. Gone: its exit is on the way.
            let _ = process::signal(pid, signal.0);
        }
    }

    fn signal_all(&mut self, signal: Signal) {
        // Refused when there is nobody; then no child is left either, and that is told.
        let _ = process::signal_all(signal.0);
        let _ = process::signal_all(Signal::CONT.0);
        self.intake.tell_when_alone();
    }
}

impl Clock for Linux {
    fn now(&self) -> Instant {
        if let Some(now) = self.now.get() {
            return now;
        }
        let now = crate::sys::clock::since_boot();
        self.now.set(Some(now));
        now
    }
}
