//! The verbs of the program, one file each: a `Spec` (plain data in), a `Report` (plain data out: the verb's
//! `--json`), and `run`, which does it and prints nothing.

pub mod annotate;
pub mod capture;
pub mod demo;
pub mod doctor;
pub mod evaluate;
pub mod explain;
pub mod extract;
pub mod flows;
pub mod hunt;
pub mod import;
pub mod inspect;
pub mod label;
pub mod lint;
pub mod score;
pub mod train;
