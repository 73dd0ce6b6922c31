//! This file lets a keeper begin again in place, because nothing can be executed: what its lives
//! before had mapped no core has, whatever program that is of.

use crate::exchange::{IMAGE, SYMBOLS, exchange, is_corrected};
use crate::inject::{Injury, at_birth, comes_to, injure};
use crate::kernels::{self, NOT_THERE};
use crate::machine::Machine;
use crate::split::{core, shared, status, until};
use crate::split_upgrade::{booted_by, named};
use crate::upgrade::{address_of, inside, kept};
use linux_raw_sys::general as abi;

/// It has the words that both see, once.
fn has_only_what_it_shares(machine: &Machine) {
    let core = core(machine);
    until("it is locked in", || status(core, "Seccomp") == "2");
    until("it has no other memory of others", || {
        shared(core).len() == 1
    });
}

/// Another life, in place: what the one before had mapped its keeper still has.
fn lives_again(machine: &mut Machine) {
    let before = shared(machine.pid()).len();
    injure(machine.pid(), Injury::Counter(0));
    machine.wait_for("goes on where it was");
    assert_eq!(shared(machine.pid()).len(), before + 2);
    has_only_what_it_shares(machine);
}

#[test]
fn no_core_has_what_a_life_that_went_on_in_place_had_mapped() {
    let filter = kernels::filter(&[(abi::__NR_execveat, NOT_THERE)]);
    let words: Vec<&str> = filter.iter().map(String::as_str).collect();
    let Some(mut machine) = booted_by(&words) else {
        return;
    };
    let before = kept(&machine);
    lives_again(&mut machine);
    let image = inside(&machine, &named(IMAGE));
    // Who tries the image has a copy.
    let mut tool = machine.tool(&["upgrade", "--core", &image]);
    let mut told = None;
    at_birth(
        machine.pid(),
        || told = Some(tool.spawn().expect("nsenter starts")),
        |child| {
            comes_to(child, address_of(SYMBOLS, &["begin_core"]));
            assert_eq!(shared(child).len(), 1, "{:?}", shared(child));
        },
    );
    let told = told.expect("it was started").wait().expect("it ends");
    assert!(told.success(), "{}", machine.console());
    machine.wait_for("the core was exchanged and goes on where it was");
    has_only_what_it_shares(&machine);
    lives_again(&mut machine);
    assert!(is_corrected(&machine));
    assert_eq!(kept(&machine), before);
    assert_eq!(exchange(&machine, &image), Ok(()));
    has_only_what_it_shares(&machine);
}
