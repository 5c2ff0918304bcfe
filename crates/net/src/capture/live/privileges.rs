//! What opening an interface needed, given up for good before the first frame is looked at.

use std::fs;

use cormorant_afpacket::{self as afpacket, Owner};

use crate::NetError;

/// Gives up every capability and every way to regain one. Call it once the interface is open and before any
/// thread is started: threads keep what they were started with, and that is checked. Outputs that are opened later
/// belong to whom the process has become, and may be renamed and replaced by it to the end.
///
/// `user` is a name of `/etc/passwd`, or `UID:GID`, to become; only root can. Without it a process under `sudo`
/// becomes the user who called it. A root process that is under no `sudo` stays user 0: it can still open root's
/// files, but has no other privilege.
///
/// # Errors
/// [`NetError::Privileges`] when there is no such user or the system refuses; the process must not go on then.
pub fn drop_privileges(user: Option<&str>) -> Result<(), NetError> {
    let owner = match user {
        Some(user) => {
            Some(find(user, &fs::read_to_string("/etc/passwd").unwrap_or_default()).ok_or_else(|| {
                NetError::Privileges {
                    what: format!("there is no user {user:?}"),
                    advice: "name a user of /etc/passwd, or give UID:GID",
                }
            })?)
        }
        None => afpacket::owner_behind_sudo(),
    };
    afpacket::drop_privileges(owner)
        .map_err(|e| NetError::Privileges { what: e.to_string(), advice: e.advice() })
}

/// The user of this name in the text of `/etc/passwd`, or with these numbers.
fn find(user: &str, passwd: &str) -> Option<Owner> {
    let owner =
        |user: &str, group: &str| Some(Owner { user: user.parse().ok()?, group: group.parse().ok()? });
    if let Some(numbers) = user.split_once(':').and_then(|(user, group)| owner(user, group)) {
        return Some(numbers);
    }
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let [name, _, uid, gid] = [fields.next()?, fields.next()?, fields.next()?, fields.next()?];
        (name == user).then(|| owner(uid, gid)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_name_or_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533::/:/usr/sbin/nologin\nbroken:x\n";
        assert_eq!(find("nobody", passwd), Some(Owner { user: 65534, group: 65533 }));
        assert_eq!(find("7:8", passwd), Some(Owner { user: 7, group: 8 }));
        assert_eq!(find("broken", passwd), None);
        assert_eq!(find("body", passwd), None);
    }
}
