//! This file is memory objects: what they are made of, and who is charged for them.

use crate::sys::page::{self, PAGE};
use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// What an object is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pages with whatever was in them, made at once.
    Data,
    /// Pages of zeroes, each made when it is touched.
    Lazy,
    /// Nothing may touch it.
    Guard,
    /// Somebody else's physical memory, from here on.
    Fixed(u64),
    /// The same, of a device.
    Device(u64),
}

/// Data from this kernel is not clean: nobody may count on zeroes.
const DIRT: u8 = 0xa5;

/// A memory object.
pub struct Memory {
    pub kind: Kind,
    pub length: u64,
    pages: RefCell<Vec<u64>>,
    payer: RefCell<Option<Rc<Cell<u64>>>>,
}

impl Memory {
    /// An object of whole pages; `None`: there is no memory left.
    pub fn new(kind: Kind, length: u64) -> Option<Self> {
        let length = length.checked_next_multiple_of(PAGE)?;
        let count = usize::try_from(length / PAGE).ok()?;
        let count = match kind {
            Kind::Data | Kind::Lazy if count <= 16_384 => count,
            Kind::Data | Kind::Lazy => return None,
            Kind::Guard | Kind::Fixed(_) | Kind::Device(_) => 0,
        };
        let memory = Self {
            kind,
            length,
            pages: RefCell::new(vec![0; count]),
            payer: RefCell::new(None),
        };
        if kind == Kind::Data {
            for place in memory.pages.borrow_mut().iter_mut() {
                *place = page::take(DIRT)?;
            }
        }
        Some(memory)
    }

    /// Charges it to somebody, and to nobody else.
    pub fn charge(&self, used: &Rc<Cell<u64>>) {
        self.release();
        used.set(used.get() + self.length);
        *self.payer.borrow_mut() = Some(used.clone());
    }

    fn release(&self) {
        if let Some(used) = self.payer.borrow_mut().take() {
            used.set(used.get() - self.length);
        }
    }

    /// The physical page at this offset; `None` where nothing is to be touched.
    pub fn page(&self, offset: u64) -> Option<u64> {
        if offset >= self.length {
            return None;
        }
        let offset = offset & !(PAGE - 1);
        match self.kind {
            Kind::Guard => None,
            Kind::Fixed(at) | Kind::Device(at) => Some(at + offset),
            Kind::Data | Kind::Lazy => {
                let index = usize::try_from(offset / PAGE).ok()?;
                let mut pages = self.pages.borrow_mut();
                let place = pages.get_mut(index)?;
                if *place == 0 {
                    *place = page::take(0)?;
                }
                Some(*place)
            }
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.release();
        for page in self.pages.borrow().iter().filter(|page| **page != 0) {
            page::give_back(*page);
        }
    }
}
