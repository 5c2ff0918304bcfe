//! The same items on systems without packet sockets: looking an interface up says that there are none.

use crate::block::{Address, Place};
use crate::{Counts, Error, Instruction, Owner, RingOptions};

/// An interface; none can be found here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its `ARPHRD_` number.
    pub hardware: u16,
    /// Whether it is up.
    pub up: bool,
}

impl Interface {
    /// Always fails.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn find(_name: &str) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    /// Never asked, as there is no interface.
    pub fn is_loopback(&self) -> bool {
        false
    }

    /// Never asked, as there is no interface.
    pub fn lost(&self) -> Option<u64> {
        None
    }
}

/// A ring; none can be opened here.
pub enum Ring {}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "as on Linux, where they are described")]
impl Ring {
    pub fn open(_: &Interface, _: &RingOptions, _cooked: bool) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    pub fn join(&self, _group: Option<u16>) -> Result<u16, Error> {
        match *self {}
    }

    pub fn start(&self, _program: &[Instruction]) -> Result<(), Error> {
        match *self {}
    }

    pub fn stop(&self) -> Result<(), Error> {
        match *self {}
    }

    pub fn advance(&mut self) -> Result<bool, Error> {
        match *self {}
    }

    pub fn frame(&self) -> (&Place, &[u8]) {
        match *self {}
    }

    pub fn address(&self) -> Option<Address> {
        match *self {}
    }

    pub fn wait(&mut self, _milliseconds: u32) -> Result<bool, Error> {
        match *self {}
    }

    pub fn counts(&mut self) -> Counts {
        match *self {}
    }
}

/// A sender; none can be opened here.
pub enum Injector {}

#[allow(missing_docs, clippy::missing_errors_doc, reason = "as on Linux, where they are described")]
impl Injector {
    pub fn open(_: &Interface) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    pub fn send(&self, _frames: &[&[u8]]) -> Result<(), Error> {
        match *self {}
    }
}

/// There is nothing to give up, as nothing was opened.
///
/// # Errors
/// None.
pub fn drop_privileges(_owner: Option<Owner>) -> Result<(), Error> {
    Ok(())
}

/// Nobody, as no interface can be opened on anybody's behalf.
pub fn owner_behind_sudo() -> Option<Owner> {
    None
}
