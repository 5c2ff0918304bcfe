//! `cormorant lab`: what is in a lab, whether it is sound, and copies of it.

mod backup;
mod gc;
mod restore;
mod show;
mod verify;

use cormorant_lab::lab::Fault;

use super::{Verb, nested, run_nested};
use crate::terminal::{Page, Tone, span};

pub(super) static VERB: Verb = Verb {
    name: "lab",
    about: "Show, check, back up, restore or clean the lab that keeps what was made",
    notes: "docs/lab.md says what a lab is, and what may fail without harm.",
    example: &["cormorant lab show", "cormorant lab verify"],
    args: |command| nested(command, VERBS),
    run: |matches, edge| run_nested(VERBS, matches, edge),
};

static VERBS: &[&Verb] = &[&show::VERB, &verify::VERB, &backup::VERB, &restore::VERB, &gc::VERB];

/// What is not as it was, each on lines of its own.
fn faults(page: &mut Page, faults: &[Fault]) {
    for fault in faults {
        page.hanging([span(Tone::Bad, "fault: ")], &format!("{}: {}", fault.path, fault.what));
    }
}
