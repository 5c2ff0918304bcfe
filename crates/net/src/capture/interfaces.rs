//! The interfaces of this machine, for whoever has to name one.

use std::fs;

use cormorant_afpacket as afpacket;

use super::LinkType;
use super::live::link_type;

/// An interface that can be captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalInterface {
    /// Its name.
    pub name: String,
    /// What its frames will start with.
    pub link: LinkType,
    /// Whether it is up: only then are there frames.
    pub up: bool,
}

/// The interfaces that this process can see, in the system's order; none where it cannot tell.
pub fn interfaces() -> Vec<LocalInterface> {
    // Not /sys/class/net: it shows the network namespace in which it was mounted, which need not be ours.
    let names = names(&fs::read_to_string("/proc/self/net/dev").unwrap_or_default());
    names.iter().filter_map(|name| afpacket::Interface::find(name).ok()).map(LocalInterface::from).collect()
}

impl From<afpacket::Interface> for LocalInterface {
    fn from(found: afpacket::Interface) -> Self {
        Self { link: link_type(found.hardware), up: found.up, name: found.name }
    }
}

/// After two lines of headings, a name and a colon begin each line (proc_net(5)).
fn names(text: &str) -> Vec<String> {
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.trim().to_owned());
    text.lines().skip(2).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_before_the_colon() {
        let text = "Inter-|   Receive                |  Transmit\n face |bytes    packets\n    lo: 1 2 3\nwlan0:4 5 6\n";
        assert_eq!(names(text), ["lo", "wlan0"]);
        assert!(names("").is_empty());
    }
}
