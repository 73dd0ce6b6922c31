//! This file makes programs of the service `pump`: one of Linux, one of the Harmony microkernel.
#![cfg_attr(target_os = "none", no_std, no_main)]

mod pump;

#[cfg(target_os = "linux")]
fn main() {
    // SAFETY: nothing else in this program knows of descriptor 3.
    let link = unsafe { service_client::Descriptor::new(3) };
    let code = pump::run(link, || {});
    std::process::exit(code.into());
}

#[cfg(target_os = "none")]
mod harmony {
    //! The Harmony microkernel.

    use service_client::{Channel, Svc, entry};

    fn main(channel: Channel<Svc>) -> u8 {
        // A pump that has nothing to do.
        super::pump::run(channel, || ())
    }

    entry!(main);
}
