//! This file is where interrupts leave what happened until the image's own loop looks at it.

use core::cell::RefCell;
use critical_section::Mutex;
use init_core::event::Event;
use init_core::ring::Ring;

/// `SYSMASTER_POSTS`: what may happen between two looks.
const POST_COUNT_MAX: usize = 16;

static POSTS: Mutex<RefCell<Ring<Event, POST_COUNT_MAX>>> = Mutex::new(RefCell::new(Ring::new()));

/// Leaves it; `false`: there is no room, and it was not left.
pub fn put(event: Event) -> bool {
    critical_section::with(|section| {
        let posts = POSTS.borrow(section).try_borrow_mut();
        posts.is_ok_and(|mut posts| posts.push(event))
    })
}

/// Takes what was left first.
pub fn take() -> Option<Event> {
    critical_section::with(|section| POSTS.borrow(section).try_borrow_mut().ok()?.pop())
}
