//! This room describes units: what a manifest compiles into, and nothing that changes at run time.
//!
//! Everything here can be written as a `const` and lies in read-only memory.

mod exec;
mod healing;
mod manifest;
mod policy;
mod setup;

pub use exec::{
    Arguments, Context, Credentials, Exec, Image, Limit, LimitValue, Probe, Program, Resource,
    SetupOp, Stream,
};
pub use healing::{DeathLimit, HealingDesc, HealingStep, RecorderDesc};
pub use manifest::{
    Edge, EdgeKind, EdgeKinds, LogLevel, Manifest, OnUpgrade, Rules, ShutdownDesc, UnitDesc,
    UnitKind, WatchdogDesc,
};
pub use policy::{
    Backoff, KillScope, LimitAction, Readiness, Restart, RestartPolicy, Signal, StartLimit,
    StopPolicy, Success,
};
pub use setup::Setup;
#[doc(hidden)]
pub use setup::{setup_bytes, setup_length};
