//! A lab on disk: one directory with the database of what is known (`lab.db`) and the files it speaks of, by digest
//! (`objects/`).

pub(crate) mod claims;
mod digest;
mod objects;

pub use digest::{Digest, NoDigest};
pub use objects::{Fault, Incoming, Object, Objects, Swept};
