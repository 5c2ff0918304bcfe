//! The system calls, on Linux. `unsafe` is in [`socket`], [`memory`] and [`privileges`] alone.

mod inject;
mod interface;
mod memory;
mod privileges;
mod ring;
mod socket;

pub use inject::Injector;
pub use interface::Interface;
pub use privileges::{drop_privileges, owner_behind_sudo};
pub use ring::Ring;
