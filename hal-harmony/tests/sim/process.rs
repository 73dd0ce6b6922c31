//! This file is the simulated kernel's processes: how they begin and end, how that is told, and
//! which call is whose.

use super::fortune::Fact;
use super::machine::{
    AGAIN, Answer, BAD_CAP, Code, Doing, Group, INVALID, NO_PERMISSION, Notification, Object,
    State, Thread, Twist,
};
use hal_harmony::abi::number::Number;

impl State {
    /// What the kernel does for a thread; `None` when it sleeps now, or is no more.
    pub fn answer(&mut self, thread: usize, number: Number, words: [u64; 6]) -> Answer {
        let group = self.threads[thread].group;
        let [first, second, ..] = words;
        let result = match number {
            Number::PUTSTR => {
                let text = self.copy_in(group, first, second).unwrap_or_default();
                self.console.extend(text);
                0
            }
            Number::CREATE_PMO => self.create_pmo(group, first, second),
            Number::CREATE_DEVICE_PMO => self.give(group, Object::Device(second)),
            Number::MAP_PMO => self.map_pmo(group, words),
            Number::UNMAP_PMO => self.unmap_pmo(group, words),
            Number::WRITE_PMO => self.move_pmo(group, words, true),
            Number::READ_PMO => self.move_pmo(group, words, false),
            Number::REVOKE_CAP => self.revoke(group, first, second != 0),
            Number::TRANSFER_PMO_OWNER => self.transfer_owner(group, words),
            Number::TRANSFER_CAPS => self.transfer_caps(group, words),
            Number::CREATE_CAP_GROUP => self.create_group(group, first),
            Number::EXIT_GROUP => {
                let code = i32::from_le_bytes(first.to_le_bytes()[..4].try_into().expect("four"));
                self.end(group, code);
                self.threads[thread].doing = Doing::Gone;
                return None;
            }
            Number::CREATE_THREAD => self.create_thread(group, first),
            Number::THREAD_EXIT => return self.thread_exit(thread),
            Number::KILL_GROUP => self.kill(group, first),
            Number::REGISTER_RECYCLE => self.register(group, first, second),
            Number::CAP_GROUP_RECYCLE => self.recycle(group, first),
            Number::YIELD => 0,
            Number::GET_PRIO => i64::from(self.threads[thread].priority),
            Number::CREATE_NOTIFC => {
                let (count, broken) = (0, false);
                self.give(group, Object::Notification(Notification { count, broken }))
            }
            Number::WAIT => return self.wait(thread, words),
            Number::NOTIFY => match self.notification(group, first) {
                Some(object) => {
                    self.signal(object);
                    0
                }
                None => BAD_CAP,
            },
            Number::CREATE_MSG_HDL => self.give(group, Object::Handle(Default::default())),
            Number::CREATE_CHANNEL => self.create_channel(group),
            Number::STOP_CHANNEL => self.stop_channel(group, first),
            Number::RECEIVE => return self.receive(thread, words),
            Number::CALL => return self.send(thread, words, 2),
            Number::NOTIFY_CHANNEL => return self.send(thread, words, 1),
            Number::REPLY => self.reply(thread, words),
            Number::CACHE_FLUSH => return self.flush(group, words),
            Number::CLOCK_GETTIME => self.clock(group, second),
            Number::POWEROFF => {
                self.powered_off = true;
                0
            }
            other => panic!("the model lacks {other:?}"),
        };
        Some(result)
    }

    fn clock(&mut self, group: usize, at: u64) -> i64 {
        let now = if self.has_clock { self.now_ns } else { 0 };
        let mut time = [0; 16];
        time[..8].copy_from_slice(&(now / 1_000_000_000).to_le_bytes());
        time[8..].copy_from_slice(&(now % 1_000_000_000).to_le_bytes());
        self.copy_out(group, at, &time).map_or(INVALID, |()| 0)
    }

    /// A notification that still is one.
    fn notification(&self, group: usize, cap: u64) -> Option<usize> {
        let object = self.find(group, cap)?;
        match &self.objects[object] {
            Object::Notification(one) if !one.broken => Some(object),
            _ => None,
        }
    }

    fn signal(&mut self, object: usize) {
        let waits = |thread: &Thread| matches!(thread.doing, Doing::Waits(on, _) if on == object);
        if let Some(thread) = self.threads.iter().position(waits) {
            self.wake(thread, 0);
            return;
        }
        let is_binary = self.has(Twist::NotBinaryCount);
        if let Object::Notification(one) = &mut self.objects[object] {
            one.count = if is_binary { 1 } else { one.count + 1 };
        }
    }

    fn wait(&mut self, thread: usize, words: [u64; 6]) -> Answer {
        let group = self.threads[thread].group;
        let [cap, block, limit, ..] = words;
        let Some(object) = self.notification(group, cap) else {
            return Some(BAD_CAP);
        };
        if let Object::Notification(one) = &mut self.objects[object]
            && one.count > 0
        {
            one.count -= 1;
            return Some(0);
        }
        if block == 0 {
            return Some(AGAIN);
        }
        let until = if limit == 0 {
            None
        } else {
            let seconds = self.long_in(group, limit)?;
            let factor = if self.has(Twist::WaitTooLong) { 20 } else { 1 };
            let span = seconds * 1_000_000_000 + self.long_in(group, limit + 8)?;
            Some(self.now_ns + span * factor)
        };
        self.threads[thread].doing = Doing::Waits(object, until);
        None
    }

    fn transfer_caps(&mut self, group: usize, words: [u64; 6]) -> i64 {
        let [to, from_at, count, to_at, ..] = words;
        let Some(Object::Group(to)) = self.find(group, to).map(|at| &self.objects[at]) else {
            return BAD_CAP;
        };
        let to = *to;
        for index in 0..count {
            let Some(bytes) = self.copy_in(group, from_at + index * 4, 4) else {
                return INVALID;
            };
            let cap = u32::from_le_bytes(bytes.try_into().expect("four"));
            let Some(object) = self.find(group, cap.into()) else {
                return BAD_CAP;
            };
            let number = i32::try_from(self.grant(to, object)).expect("few");
            let _ = self.copy_out(group, to_at + index * 4, &number.to_le_bytes());
        }
        0
    }

    fn create_group(&mut self, group: usize, at: u64) -> i64 {
        if self.groups[group].badge != 1 {
            return NO_PERMISSION;
        }
        let args = self.copy_in(group, at, 56).expect("the arguments");
        let int = |at: usize| i32::from_le_bytes(args[at..at + 4].try_into().expect("four"));
        let (badge, pid) = (int(0), int(32));
        assert!(badge > 1, "a second root task");
        let long = |at: usize| u64::from_le_bytes(args[at..at + 8].try_into().expect("eight"));
        let name = self.copy_in(group, long(8), long(16)).expect("the name");
        self.groups.push(Group {
            name,
            badge,
            pid,
            caps: Vec::new(),
            maps: Vec::new(),
            quota: long(48),
            used: 0,
            told: false,
            recycled: false,
            is_host: false,
        });
        let new = self.groups.len() - 1;
        self.give(new, Object::Group(new));
        self.give(new, Object::Space);
        let Some(own) = self.find(new, 0) else {
            return INVALID;
        };
        self.grant(group, own)
    }

    fn create_thread(&mut self, group: usize, at: u64) -> i64 {
        let args = self.copy_in(group, at, 48).expect("the arguments");
        let int = |at: usize| u32::from_le_bytes(args[at..at + 4].try_into().expect("four"));
        let long = |at: usize| u64::from_le_bytes(args[at..at + 8].try_into().expect("eight"));
        let of = match self.find(group, int(0).into()).map(|at| &self.objects[at]) {
            Some(Object::Group(of)) => *of,
            _ => return BAD_CAP,
        };
        let (priority, kind) = (int(40), int(44));
        if priority > 255 || !matches!(kind, 2..=4) {
            return INVALID;
        }
        if self.groups[of].told {
            return INVALID;
        }
        if of != 0 {
            self.starts.push(self.now_ns);
        }
        let native = self.natives.get(&long(16)).cloned();
        let mut x = [0; 32];
        x[0] = long(24);
        self.threads.push(Thread {
            group: of,
            x,
            pc: long(16),
            priority,
            doing: Doing::Runs,
            dying: false,
            is_host: self.groups[of].is_host || native.is_some(),
            turn: 0,
        });
        let new = self.threads.len() - 1;
        self.show_begun(of);
        if let Some(native) = native {
            self.groups[of].is_host = true;
            self.newborn = Some((new, Code::Native(native), long(24)));
        } else if self.groups[of].is_host {
            self.newborn = Some((new, Code::At(long(16)), long(24)));
        }
        self.give(group, Object::Thread(new))
    }

    fn thread_exit(&mut self, thread: usize) -> Answer {
        let group = self.threads[thread].group;
        self.threads[thread].doing = Doing::Gone;
        let of_group = |one: &Thread| one.group == group && one.doing != Doing::Gone;
        if !self.threads.iter().any(of_group) {
            self.end(group, 0);
        }
        None
    }

    /// Somebody touched what is not there.
    pub fn fault(&mut self, group: usize) {
        let code = if self.has(Twist::FaultShowsOther) {
            139
        } else {
            -1
        };
        self.end(group, code);
        self.bury();
    }

    fn kill(&mut self, group: usize, cap: u64) -> i64 {
        let target = match self.find(group, cap).map(|at| &self.objects[at]) {
            Some(Object::Group(target)) => *target,
            _ => return INVALID,
        };
        assert!(target != 0, "the root task killed itself");
        if self.has(Twist::KillLost) {
            return 0;
        }
        let pid = self.groups[target].pid;
        self.show(Fact::Killed { pid });
        let code = if self.has(Twist::KillShowsNine) { 9 } else { 0 };
        self.end(target, code);
        0
    }

    /// A process ends; its threads go at the next schedule.
    pub fn end(&mut self, group: usize, code: i32) {
        assert!(group != 0, "the root task ended");
        if std::mem::replace(&mut self.groups[group].told, true) {
            return;
        }
        for thread in self.threads.iter_mut().filter(|one| one.group == group) {
            thread.dying = true;
        }
        let code = if self.has(Twist::CodesAreBytes) {
            code & 0xff
        } else {
            code
        };
        let pid = self.groups[group].pid;
        self.show(Fact::Ended { pid, code });
        self.tell(self.groups[group].badge, code);
    }

    /// A thread was made: of a process that had none?
    fn show_begun(&mut self, group: usize) {
        let its = |thread: &&Thread| thread.group == group;
        if group != 0 && self.threads.iter().filter(its).count() == 1 {
            let Group { name, pid, .. } = &self.groups[group];
            let (name, pid) = (name.clone(), *pid);
            self.show(Fact::Begun { name: &name, pid });
        }
    }

    fn register(&mut self, group: usize, cap: u64, ring: u64) -> i64 {
        if self.groups[group].badge != 1 {
            return NO_PERMISSION;
        }
        let Some(object) = self.notification(group, cap) else {
            return BAD_CAP;
        };
        self.recycler = Some((object, ring));
        0
    }

    /// Tells an exit; without room it waits, unsignalled, until there is another exit.
    fn tell(&mut self, badge: i32, code: i32) {
        let (bell, _) = self.recycler.expect("nobody is told of exits");
        if self.is_full() {
            self.surplus.insert(0, (badge, code));
            return;
        }
        let mut told = vec![(badge, code)];
        let mut surplus = std::mem::take(&mut self.surplus);
        if self.has(Twist::OverflowInOrder) {
            surplus.reverse();
        }
        if self.has(Twist::OverflowBeforeNew) {
            told.splice(0..0, surplus);
        } else {
            told.extend(surplus);
        }
        for (index, exit) in told.iter().enumerate() {
            if self.is_full() {
                self.surplus = told[index..].to_vec();
                break;
            }
            self.write_exit(*exit);
        }
        let Object::Notification(one) = &self.objects[bell] else {
            unreachable!("told by something else")
        };
        assert!(!one.broken, "H1: an exit, and what it is told by is broken");
        if !self.has(Twist::ExitUntold) {
            self.signal(bell);
        }
    }

    fn ring_word(&self, offset: u64) -> u64 {
        let (_, ring) = self.recycler.expect("registered");
        self.long_in(0, ring + offset).expect("the root's memory")
    }

    fn after(&self, offset: u64) -> u64 {
        let (size, message) = (self.ring_word(0), self.ring_word(24));
        if offset == size - message {
            32
        } else {
            offset + message
        }
    }

    fn is_full(&self) -> bool {
        self.after(self.ring_word(16)) == self.ring_word(8)
    }

    fn write_exit(&mut self, (badge, code): (i32, i32)) {
        let (_, ring) = self.recycler.expect("registered");
        let producer = self.ring_word(16);
        let mut message = [0; 12];
        message[..4].copy_from_slice(&badge.to_le_bytes());
        message[4..8].copy_from_slice(&code.to_le_bytes());
        let _ = self.copy_out(0, ring + producer, &message);
        let next = self.after(producer);
        let _ = self.copy_out(0, ring + 16, &next.to_le_bytes());
    }

    fn recycle(&mut self, group: usize, cap: u64) -> i64 {
        if self.groups[group].badge != 1 {
            return NO_PERMISSION;
        }
        let target = match self.find(group, cap).map(|at| &self.objects[at]) {
            Some(Object::Group(target)) => *target,
            _ => return BAD_CAP,
        };
        for object in self.groups[target].caps.clone().into_iter().flatten() {
            if let Object::Notification(one) = &mut self.objects[object] {
                one.broken = true;
            }
        }
        self.assert_heard(target);
        let is_there = |one: &Thread| one.group == target && one.doing != Doing::Gone;
        if self.threads.iter().any(is_there) {
            self.bury();
            return AGAIN;
        }
        self.groups[target].recycled = true;
        if self.has(Twist::MemoryDies) {
            for map in self.groups[target].maps.clone() {
                if let Object::Memory(memory) = &mut self.objects[map.object] {
                    memory.bytes.fill(0xff);
                }
            }
        }
        self.groups[target].maps.clear();
        self.groups[target].caps.clear();
        let index = usize::try_from(cap).expect("a capability");
        self.groups[group].caps[index] = None;
        0
    }
}
