//! This file says what of the core a program has: all of it, but for what its product does not use
//! and a feature leaves out. Tests have all of it.

use crate::ident::Role;

/// Units that are never up together.
pub(crate) const CONFLICTS: bool = cfg!(any(not(feature = "without-conflicts"), feature = "fake"));

/// Units that are stopped with others.
pub(crate) const BINDINGS: bool = cfg!(any(not(feature = "without-bindings"), feature = "fake"));

/// Start limits that have a consequence for the machine.
pub(crate) const LIMIT_ACTIONS: bool = cfg!(any(
    not(feature = "without-limit-actions"),
    feature = "fake"
));

/// Units that are stopped by a program.
pub(crate) const STOP_PROGRAMS: bool = cfg!(any(
    not(feature = "without-stop-programs"),
    feature = "fake"
));

/// Units whose readiness somebody looks for.
pub(crate) const PROBES: bool = cfg!(any(not(feature = "without-probes"), feature = "fake"));

/// In which roles a unit may have processes.
pub const ROLES: &[Role] = match (STOP_PROGRAMS, PROBES) {
    (false, false) => &[Role::Main],
    _ => &[Role::Main, Role::Stop, Role::Probe],
};
