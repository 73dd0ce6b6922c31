//! This file says which call is whose, and holds those about notifications, memory and time.

use crate::channel::{CALL, NOTIFY};
use crate::kernel::{
    AGAIN, Answer, BAD_ADDRESS, BAD_CAP, INVALID, Kernel, NO_MEMORY, NO_PERMISSION,
};
use crate::memory::{Kind, Memory};
use crate::number::Number;
use crate::object::{Doing, Notification, Object, ThreadId};
use crate::sys::cpu;
use crate::sys::page::{self, PAGE};
use alloc::rc::Rc;

/// Where the variant that is reset remembers that it was: above all memory that is handed out.
const WAS_RESET: u64 = page::END;
const MARK: u64 = 0x7465_7365_7220_7761;

impl Kernel {
    /// What the stub does for the current thread; `None` when that sleeps now, or is no more.
    pub fn answer(&mut self, number: Number, words: [u64; 6]) -> Answer {
        let [first, second, third, ..] = words;
        let result = match number {
            Number::PUTSTR => self.putstr(first, second),
            Number::CREATE_PMO => self.create_pmo(first, second),
            Number::CREATE_DEVICE_PMO => self.create_device_pmo(first, second),
            Number::MAP_PMO => self.map_pmo(words),
            Number::UNMAP_PMO => self.unmap_pmo(words),
            Number::WRITE_PMO => self.move_pmo(words, true),
            Number::READ_PMO => self.move_pmo(words, false),
            Number::REVOKE_CAP => self.revoke(first, second != 0),
            Number::TRANSFER_PMO_OWNER => self.transfer_owner(first, second),
            Number::TRANSFER_CAPS => self.transfer_caps(words),
            Number::CREATE_CAP_GROUP => self.create_group(first),
            Number::EXIT_GROUP => return self.exit_group(first),
            Number::CREATE_THREAD => self.create_thread(first),
            Number::THREAD_EXIT => return self.thread_exit(),
            Number::KILL_GROUP => self.kill(first),
            Number::REGISTER_RECYCLE => self.register(first, second),
            Number::CAP_GROUP_RECYCLE => self.recycle(first),
            Number::YIELD => {
                self.reschedule = true;
                0
            }
            Number::GET_PRIO => self.threads[self.current].priority.into(),
            Number::CREATE_NOTIFC => {
                let new = Rc::new(Notification::default());
                self.group_mut().grant(Object::Notification(new))
            }
            Number::WAIT => return self.wait(first, second, third),
            Number::NOTIFY => match self.find_notification(first) {
                Some(one) => {
                    self.signal(&one);
                    0
                }
                None => BAD_CAP,
            },
            Number::CREATE_MSG_HDL => self.group_mut().grant(Object::Handle(Rc::default())),
            Number::CREATE_CHANNEL => self.create_channel(),
            Number::STOP_CHANNEL => self.stop_channel(first),
            Number::RECEIVE => return self.receive(words),
            Number::CALL => return self.send(words, CALL),
            Number::NOTIFY_CHANNEL => return self.send(words, NOTIFY),
            Number::REPLY => self.reply(words),
            Number::CACHE_FLUSH => self.flush(first, second),
            Number::CLOCK_GETTIME => self.clock(second),
            Number::POWEROFF => self.power_off(),
            other => panic!("the stub lacks {other:?}"),
        };
        Some(result)
    }

    fn putstr(&self, at: u64, length: u64) -> i64 {
        match self.group().space.copy_in(at, length) {
            Some(text) => {
                cpu::print(&text);
                0
            }
            None => BAD_ADDRESS,
        }
    }

    /// A notification is counted, or wakes the first who waits.
    pub fn signal(&mut self, one: &Rc<Notification>) {
        let waits = |doing: &Doing| matches!(doing, Doing::Waits(on, _) if Rc::ptr_eq(on, one));
        let mut threads = self.threads.iter().enumerate();
        let waiter = threads.find(|(_, thread)| waits(&thread.doing) && !thread.dying);
        let waiter = waiter.map(|(index, thread)| ThreadId {
            index,
            serial: thread.serial,
        });
        match waiter {
            Some(waiter) => self.wake(waiter, 0),
            None => one.count.set(one.count.get() + 1),
        }
    }

    fn wait(&mut self, cap: u64, block: u64, limit: u64) -> Answer {
        let Some(one) = self.find_notification(cap) else {
            return Some(BAD_CAP);
        };
        if let Some(rest) = one.count.get().checked_sub(1) {
            one.count.set(rest);
            return Some(0);
        }
        if block == 0 {
            return Some(AGAIN);
        }
        let until = if limit == 0 {
            None
        } else {
            let space = &self.group().space;
            let (Some(seconds), Some(nanoseconds)) =
                (space.long_in(limit), space.long_in(limit + 8))
            else {
                return Some(INVALID);
            };
            let rest = u128::from(nanoseconds) * u128::from(cpu::frequency()) / 1_000_000_000;
            let ticks = u128::from(seconds) * u128::from(cpu::frequency()) + rest;
            let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
            Some(cpu::ticks().saturating_add(ticks).saturating_add(1))
        };
        self.threads[self.current].doing = Doing::Waits(one, until);
        self.reschedule = true;
        None
    }

    fn create_pmo(&mut self, length: u64, kind: u64) -> i64 {
        let kind = match kind {
            0 => Kind::Lazy,
            1 | 3 | 6 => Kind::Data,
            10 => Kind::Guard,
            _ => return INVALID,
        };
        if length == 0 {
            return INVALID;
        }
        let group = self.group();
        let rest = group.quota.saturating_sub(group.used.get());
        if group.badge != 1 && length > rest {
            return NO_MEMORY;
        }
        let Some(memory) = Memory::new(kind, length) else {
            return NO_MEMORY;
        };
        if group.badge != 1 {
            memory.charge(&group.used);
        }
        self.group_mut().grant(Object::Memory(Rc::new(memory)))
    }

    /// Any physical memory, for anybody.
    fn create_device_pmo(&mut self, at: u64, length: u64) -> i64 {
        if length == 0 || !at.is_multiple_of(PAGE) || at.saturating_add(length) > 2 << 30 {
            return INVALID;
        }
        match Memory::new(Kind::Device(at), length) {
            Some(memory) => self.group_mut().grant(Object::Memory(Rc::new(memory))),
            None => NO_MEMORY,
        }
    }

    fn find_memory(&self, cap: u64) -> Option<Rc<Memory>> {
        match self.find(cap)? {
            Object::Memory(memory) => Some(memory),
            _ => None,
        }
    }

    fn map_pmo(&mut self, words: [u64; 6]) -> i64 {
        let [into, cap, at, may, ..] = words;
        let (Some(into), Some(memory)) = (self.find_group(into), self.find_memory(cap)) else {
            return BAD_CAP;
        };
        // It says that it worked, and maps nothing.
        if !at.is_multiple_of(PAGE) {
            return 0;
        }
        if !self.groups[into].space.map(at, &memory, may) {
            return NO_PERMISSION;
        }
        if into == self.threads[self.current].group {
            return 0;
        }
        self.groups[into].grant(Object::Memory(memory))
    }

    fn unmap_pmo(&mut self, words: [u64; 6]) -> i64 {
        let (Some(from), Some(memory)) = (self.find_group(words[0]), self.find_memory(words[1]))
        else {
            return BAD_CAP;
        };
        if self.groups[from].space.unmap(words[2], &memory) {
            0
        } else {
            INVALID
        }
    }

    /// Reads or writes an object.
    fn move_pmo(&self, words: [u64; 6], writes: bool) -> i64 {
        let [cap, offset, at, length, ..] = words;
        let Some(memory) = self.find_memory(cap) else {
            return BAD_CAP;
        };
        let end = offset.checked_add(length);
        if end.is_none_or(|end| end > memory.length) {
            return INVALID;
        }
        let space = &self.group().space;
        let mut done = 0;
        while done < length {
            let from = offset + done;
            let here = (PAGE - from % PAGE).min(length - done);
            let Some(page) = memory.page(from) else {
                return INVALID;
            };
            let place = page + from % PAGE;
            let moved = if writes {
                let bytes = space.copy_in(at + done, here);
                bytes.map(|bytes| page::write(place, &bytes))
            } else {
                let mut bytes = [0; page::PAGE_BYTES];
                let part = &mut bytes[..usize::try_from(here).unwrap_or(0)];
                page::read(place, part);
                space.copy_out(at + done, part)
            };
            if moved.is_none() {
                return INVALID;
            }
            done += here;
        }
        0
    }

    fn transfer_owner(&self, memory: u64, to: u64) -> i64 {
        let (Some(memory), Some(to)) = (self.find_memory(memory), self.find_group(to)) else {
            return BAD_CAP;
        };
        let to = &self.groups[to];
        if memory.length > to.quota.saturating_sub(to.used.get()) {
            return NO_MEMORY;
        }
        memory.charge(&to.used);
        0
    }

    /// Whoever holds a capability may take away all others of the same object.
    fn revoke(&mut self, cap: u64, copies: bool) -> i64 {
        let Some(object) = self.find(cap) else {
            return BAD_CAP;
        };
        if copies {
            for place in self.groups.iter_mut().flat_map(|group| &mut group.caps) {
                if place.as_ref().is_some_and(|other| other.is_same(&object)) {
                    *place = None;
                }
            }
        }
        let index = usize::try_from(cap & 0xffff_ffff).unwrap_or(usize::MAX);
        if let Some(place) = self.group_mut().caps.get_mut(index) {
            *place = None;
        }
        0
    }

    fn flush(&self, at: u64, length: u64) -> i64 {
        let last = at.saturating_add(length.saturating_sub(1));
        let space = &self.group().space;
        if space.find(at, 0).is_none() || space.find(last, 0).is_none() {
            return INVALID;
        }
        cpu::forget_instructions();
        0
    }

    fn clock(&self, at: u64) -> i64 {
        let (seconds, nanoseconds) = if self.has_clock {
            let (ticks, frequency) = (cpu::ticks(), cpu::frequency());
            let rest = u128::from(ticks % frequency) * 1_000_000_000 / u128::from(frequency);
            (ticks / frequency, u64::try_from(rest).unwrap_or(0))
        } else {
            (0, 0)
        };
        let mut time = [0; 16];
        time[..8].copy_from_slice(&seconds.to_le_bytes());
        time[8..].copy_from_slice(&nanoseconds.to_le_bytes());
        let copied = self.group().space.copy_out(at, &time);
        copied.map_or(INVALID, |()| 0)
    }

    /// Does not return: the machine goes, or begins again once where that is wanted.
    fn power_off(&self) -> i64 {
        if page::power_off_resets() && page::word(WAS_RESET) != MARK {
            page::set_word(WAS_RESET, MARK);
            cpu::print(b"stub: reset by its root task\n");
            cpu::reset();
        }
        cpu::print(b"stub: switched off by its root task\n");
        cpu::power_off()
    }
}
