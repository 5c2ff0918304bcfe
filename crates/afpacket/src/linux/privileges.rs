//! Gives up what opening an interface needed, for good.

use std::fs;
use std::io;

use rustix::thread::{self, CapabilitySet, CapabilitySets};

use crate::{Error, Owner};

/// Gives up every capability and the means to gain any by running another program, and becomes `owner` if one is
/// named. A later call cannot undo it: the process holds nothing that would allow that.
///
/// Capabilities belong to threads, and threads inherit them: call this before any other is started. The user and
/// group change in all threads at once. A root process without an `owner` stays user 0 without capabilities: it
/// still owns root's files, and can do nothing else that a plain user cannot.
///
/// # Errors
/// [`Error::NotAllThreads`] when a thread started earlier still holds a capability; this one has given up its own.
/// Otherwise what the system says: without the right to change the user, for instance.
pub fn drop_privileges(owner: Option<Owner>) -> Result<(), Error> {
    if let Some(owner) = owner {
        become_owner(owner)?;
    }
    let failed = |e: rustix::io::Errno| Error::System { what: "cannot give up privileges", source: e.into() };
    thread::clear_ambient_capability_set().map_err(failed)?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    thread::set_capabilities(None, sets).map_err(failed)?;
    thread::set_no_new_privs(true).map_err(failed)?;
    match privileged_threads()? {
        0 => Ok(()),
        threads => Err(Error::NotAllThreads { threads }),
    }
}

/// Whom to become when root acts for somebody who called `sudo`; `None` when it does not.
pub fn owner_behind_sudo() -> Option<Owner> {
    let number = |name| std::env::var(name).ok()?.parse().ok().filter(|&id: &u32| id != 0);
    let owner = Owner { user: number("SUDO_UID")?, group: number("SUDO_GID")? };
    rustix::process::geteuid().is_root().then_some(owner)
}

/// Changes groups, group and user, in this order, as only root may; the C library does it in every thread.
fn become_owner(Owner { user, group }: Owner) -> Result<(), Error> {
    let check = |result, what| match result {
        0 => Ok(()),
        _ => Err(Error::System { what, source: io::Error::last_os_error() }),
    };
    // SAFETY: a list of no groups.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }, "cannot give up supplementary groups")?;
    // SAFETY: integers only.
    check(unsafe { libc::setresgid(group, group, group) }, "cannot change the group")?;
    // SAFETY: integers only.
    check(unsafe { libc::setresuid(user, user, user) }, "cannot change the user")
}

/// Threads of this process that may still do what a plain user may not.
fn privileged_threads() -> Result<usize, Error> {
    let failed = |source| Error::System { what: "cannot look at the threads of this process", source };
    let mut privileged = 0;
    for task in fs::read_dir("/proc/self/task").map_err(failed)? {
        let status = fs::read_to_string(task.map_err(failed)?.path().join("status"));
        // A thread may end between the listing and the look.
        privileged += usize::from(status.is_ok_and(|status| holds_capabilities(&status)));
    }
    Ok(privileged)
}

fn holds_capabilities(status: &str) -> bool {
    let holds = |line: &str| {
        let sets = ["CapPrm:", "CapEff:", "CapAmb:"];
        let value = sets.iter().find_map(|set| line.strip_prefix(set));
        value.is_some_and(|value| value.trim().bytes().any(|digit| digit != b'0'))
    };
    status.lines().any(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_privileged_by_any_of_its_sets() {
        let plain =
            "Name:\tx\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapBnd:\t000001ffffffffff\n";
        assert!(!holds_capabilities(plain), "the bounding set alone gives nothing");
        assert!(holds_capabilities("CapPrm:\t0000000000002000\n"));
        assert!(holds_capabilities("CapEff:\t0000000000000001\n"));
    }
}
