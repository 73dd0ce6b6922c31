//! This file is the Harmony platform: all that the root task holds, and how it starts and ends
//! processes.

use crate::abi::layout::RingPage;
use crate::abi::{Calls, Error, Group, Kernel, Stack};
use crate::children::{Children, Slot};
use crate::clock::{Mode, Time};
use crate::console::Console;
use crate::control::Sessions;
use crate::courier::Courier;
use crate::disk::Disk;
use crate::exits::{self, Exits};
use crate::image::{self, Loadable};
use crate::lasting::Lasting;
use crate::start;
use crate::{RAM_DISK, SPLIT};
use init_core::event::{Errno, MachineRequest};
use init_core::hal::{Clock, Platform, Process};
use init_core::ident::{Child, Generation, Role, UnitId};
use init_core::time::Instant;
use init_core::unit::Image;
use init_core::unit::{Exec, KillScope, Manifest, Program, Readiness, Signal};

/// What a board chooses.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The programs of services.
    pub images: &'static [Image],
    /// The root task's own priority, as the kernel started it.
    pub own_priority: u32,
    /// That of services: below our own, or they starve whenever we are awake.
    pub service_priority: u32,
    /// Bytes of a service's stack, whole pages.
    pub stack_bytes: u64,
    /// An address, at a page, where the root task has room for the largest program's code.
    pub window: u64,
    /// The address of a page of memory, at a page, that nobody uses and a reset leaves alone: for
    /// what one boot leaves to the next.
    pub reserved: Option<u64>,
    /// The address of pages, at a page, that nobody uses: for the words that keeper and cores
    /// share. Without them a core can take the words from under its keeper.
    pub shared: Option<u64>,
    /// Where a RAM disk lies, and how many bytes it may have, both of whole pages: for programs
    /// whose files are empty in [`Self::images`]. Looked at with the feature `ram-disk` only.
    pub ram_disk: Option<(u64, u64)>,
    /// Starts the machine again by its own registers; the kernel cannot.
    pub reset: Option<fn()>,
}

/// Memory for so many processes at once; two for each unit, one that runs it and one that stops
/// it, are always enough. A board keeps one in a static.
#[derive(Debug)]
pub struct Storage<K, const CHILDREN: usize> {
    slots: [Slot; CHILDREN],
    ring: RingPage,
    sessions: Sessions,
    courier: Option<Courier<K>>,
    stack: Stack,
}

impl<K, const CHILDREN: usize> Storage<K, CHILDREN> {
    /// Memory in which nothing has happened. Does not compile for more processes than the
    /// kernel's one page of exits has room for.
    ///
    /// ```compile_fail,E0080
    /// let _ = hal_harmony::Storage::<(), 338>::new();
    /// ```
    ///
    /// ```
    /// let _ = hal_harmony::Storage::<(), 337>::new();
    /// ```
    pub const fn new() -> Self {
        Self {
            slots: [const { Slot::EMPTY }; CHILDREN],
            ring: exits::page::<CHILDREN>(),
            sessions: Sessions::NEW,
            courier: None,
            stack: Stack::new(),
        }
    }
}

impl<K, const CHILDREN: usize> Default for Storage<K, CHILDREN> {
    fn default() -> Self {
        Self::new()
    }
}

/// The root task's hands and ears.
#[derive(Debug)]
pub struct Harmony<K: 'static> {
    pub(crate) manifest: &'static Manifest,
    pub(crate) config: Config,
    pub(crate) calls: Calls<K>,
    pub(crate) time: Time,
    pub(crate) console: Console<K>,
    pub(crate) children: Children,
    pub(crate) lasting: Lasting,
    pub(crate) disk: Option<Disk>,
    pub(crate) exits: Exits,
    /// What came from services, and what wakes us for that and for exits.
    pub(crate) courier: &'static Courier<K>,
    pub(crate) sessions: &'static mut Sessions,
    /// Nothing comes from services any more.
    pub(crate) is_deaf: bool,
    /// The core has no state: whatever it counts, it has taken nothing in.
    pub(crate) is_forsaken: bool,
    /// Somebody waits until nobody is left.
    pub(crate) owes_alone: bool,
    pub(crate) asked: Option<MachineRequest>,
}

/// Linux's numbers for what cannot be had.
const NO_ENTRY: Errno = Errno(2);
const NO_PROGRAM: Errno = Errno(8);
const TRY_AGAIN: Errno = Errno(11);
const NOT_SUPPORTED: Errno = Errno(38);

impl<K: Kernel + Clone + Sync + 'static> Harmony<K> {
    /// Takes the machine over: exits first, then messages, then the clock.
    ///
    /// # Errors
    /// What the kernel answers; then this is not the root task, or not this kernel.
    pub fn new<const CHILDREN: usize>(
        kernel: K,
        manifest: &'static Manifest,
        config: Config,
        storage: &'static mut Storage<K, CHILDREN>,
    ) -> Result<Self, Error> {
        let calls = Calls::new(kernel);
        let Storage {
            slots,
            ring,
            sessions,
            courier,
            stack,
        } = storage;
        let exits = Exits::new(ring);
        let bell = calls.notification()?;
        calls.tell_exits(&bell, exits.page())?;
        let courier: &'static Courier<K> = courier.insert(Courier::new(&calls, bell)?);
        // Above ourselves and so above all who send: see there.
        courier.start(stack, config.own_priority.saturating_add(1))?;
        let mut console = Console::new(calls.clone());
        let lasting = Lasting::open(&calls, config.reserved, |words| {
            console.say("init", words);
        });
        let disk = config.ram_disk.filter(|_| RAM_DISK);
        let disk = disk.map(|place| Disk::open(&calls, place));
        if let Some(Err(_)) = disk {
            console.say("init", &|line| {
                line.text("the RAM disk's memory cannot be had");
            });
        }
        Ok(Self {
            disk: disk.and_then(Result::ok),
            manifest,
            config,
            time: Time::probe(&calls),
            console,
            lasting,
            children: Children::new(slots),
            exits,
            courier,
            sessions,
            is_deaf: false,
            is_forsaken: false,
            owes_alone: false,
            asked: None,
            calls,
        })
    }
}

impl<K: Kernel + 'static> Harmony<K> {
    /// How time is told here.
    pub fn mode(&self) -> Mode {
        self.time.mode
    }

    /// Something of the board asks this of the machine: a key, a supply that fails. It is told
    /// before anything else.
    pub fn ask(&mut self, request: MachineRequest) {
        self.asked = Some(request);
    }

    /// Whom our waiting lets run: those below us while we sleep. Where waiting is looking again
    /// and again, only those at our own priority. Between us and services is the core.
    fn priority(&self, exec: &Exec) -> u32 {
        let highest = self.core_priority().saturating_sub(u32::from(SPLIT));
        match (self.time.mode, exec.context.priority) {
            (Mode::KernelTimeout, 0) => self.config.service_priority.min(highest),
            (Mode::KernelTimeout, own) => u32::from(own).min(highest),
            (Mode::CounterPoll, _) => self.config.own_priority,
        }
    }

    /// The highest that we let run.
    pub(crate) fn core_priority(&self) -> u32 {
        match self.time.mode {
            Mode::KernelTimeout => self.config.own_priority.saturating_sub(1),
            Mode::CounterPoll => self.config.own_priority,
        }
    }

    fn start(&mut self, child: Child, exec: &Exec, confirm: bool) -> Result<u32, Errno> {
        let named = |image: &&Image| image.path == exec.program;
        let image = self.config.images.iter().find(named).ok_or(NO_ENTRY)?;
        let image = match RAM_DISK && image.file.is_empty() {
            true => self.on_disk(image)?,
            false => *image,
        };
        let program = image::program(&image).map_err(|_| NO_PROGRAM)?;
        let badge = self.children.next_badge().ok_or(TRY_AGAIN)?;
        let name = self.manifest.unit(child.unit).map_or("", |unit| unit.name);
        let quota = start::quota(exec);
        let group = self.calls.group(badge, name.as_bytes(), quota);
        let group = group.map_err(Error::errno)?;
        if let Err(error) = self.fill(&group, &program, exec) {
            self.calls.kill(&group);
            self.children.insert_stillborn(group);
            return Err(error.errno());
        }
        self.children.insert(child, group, confirm);
        Ok(badge.unsigned_abs())
    }

    /// The same program with its file, from the RAM disk.
    fn on_disk(&mut self, image: &Image) -> Result<Image, Errno> {
        let path = image.path;
        let disk = self.disk.as_ref().ok_or(NO_ENTRY)?;
        match disk.find(path.to_bytes()) {
            Ok(Some(file)) => Ok(Image { path, file }),
            Ok(None) => Err(NO_ENTRY),
            Err(broken) => {
                let at = u32::try_from(broken.at).unwrap_or(u32::MAX);
                self.console.say("init", &|line| {
                    line.text("the RAM disk is broken at byte ").number(at);
                    line.text(": ").text(broken.what);
                });
                Err(NO_PROGRAM)
            }
        }
    }

    /// Gives a process what it starts with: the channel, memory, a thread.
    fn fill(&self, group: &Group, program: &Loadable, exec: &Exec) -> Result<(), Error> {
        let channel = self.calls.lend(&self.courier.channel, group)?;
        let given = start::Given {
            program,
            arguments: exec.arguments,
            channel,
            priority: self.priority(exec),
        };
        start::start(&self.calls, &self.config, group, &given)
    }

    /// What the kernel has told of exits so far is known.
    pub(crate) fn take_exits(&mut self) {
        while let Some(exit) = self.exits.take() {
            self.sessions.leave(exit.badge);
            self.children.ended(exit.badge, exit.code);
        }
    }
}

impl<K: Kernel + 'static> Process for Harmony<K> {
    fn spawn(
        &mut self,
        child: Child,
        program: Program,
        ready: Readiness,
        confirm: bool,
    ) -> Result<u32, Errno> {
        if SPLIT && let Some(pid) = self.children.pid_of(child) {
            return Ok(pid);
        }
        // There are no descriptors, sockets or paths on which readiness could be seen.
        match (child.role, self.manifest.exec(program), ready) {
            (Role::Main, Some(exec), Readiness::Exec | Readiness::Exit | Readiness::Letter)
            | (Role::Stop, Some(exec), _) => self.start(child, exec, confirm),
            _ => Err(NOT_SUPPORTED),
        }
    }

    /// A process that listens is told to stop when it next asks whether to go on; every other one,
    /// and one that is to be killed, ends at once.
    fn signal(&mut self, child: Child, signal: Signal, _scope: KillScope) {
        self.take_exits();
        let group = match signal {
            Signal::KILL => self.children.group_to_kill(child),
            _ => self.children.ask_to_stop(child),
        };
        if let Some(group) = group {
            self.calls.kill(group);
        }
    }

    fn signal_all(&mut self, signal: Signal) {
        self.take_exits();
        if signal == Signal::KILL {
            for group in self.children.all_to_kill() {
                self.calls.kill(group);
            }
        } else {
            for group in self.children.ask_all_to_stop() {
                self.calls.kill(group);
            }
        }
        self.owes_alone = true;
    }
}

impl<K: Kernel + 'static> Clock for Harmony<K> {
    fn now(&self) -> Instant {
        self.time.now(&self.calls)
    }
}

impl<K: Kernel + 'static> Platform for Harmony<K> {
    type Console = Console<K>;

    fn console(&mut self) -> &mut Console<K> {
        &mut self.console
    }

    fn owner(&mut self, unit: UnitId, role: Role) -> Option<(Generation, u32)> {
        if SPLIT {
            self.children.owner(unit, role)
        } else {
            None
        }
    }

    fn forsake(&mut self) {
        if SPLIT {
            self.sessions.hang_up();
            self.is_forsaken = true;
        }
    }
}
