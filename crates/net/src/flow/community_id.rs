//! Community ID version 1: the flow identifier that Zeek, Suricata, Wireshark and others share.
//!
//! Specification: github.com/corelight/community-id-spec. The ID is `1:` and the base64 of a SHA-1 over
//! seed, addresses, protocol, a zero byte and the ports, all in network byte order, the smaller endpoint first.
//! ICMP has its types in the place of ports; messages that none answers are not reordered.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::key::FlowKey;

/// Characters of every ID: `1:` and 28 of base64.
pub const LEN: usize = 30;

/// The ID of a flow. The VLAN is no part of it.
pub fn community_id(key: &FlowKey, seed: u16) -> [u8; LEN] {
    let digest = digest(key, seed);
    let mut text = [b'='; LEN];
    if let Some((version, hash)) = text.split_at_mut_checked(2) {
        version.copy_from_slice(b"1:");
        // 20 bytes always give 28 characters.
        let _ = STANDARD.encode_slice(digest, hash);
    }
    text
}

fn digest(key: &FlowKey, seed: u16) -> [u8; 20] {
    let (low, high) = (key.low(), key.high());
    let mut input = Input { bytes: [0; 40], len: 0 };
    input.push(&seed.to_be_bytes());
    input.push_address(low.0);
    input.push_address(high.0);
    input.push(&[key.protocol(), 0]);
    if has_ports(key.protocol()) {
        input.push(&low.1.to_be_bytes());
        input.push(&high.1.to_be_bytes());
    }
    Sha1::digest(input.bytes.get(..input.len).unwrap_or_default()).into()
}

/// TCP, UDP, SCTP and both ICMPs; the specification hashes no ports for anything else.
fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 1 | 6 | 17 | 58 | 132)
}

struct Input {
    bytes: [u8; 40],
    len: usize,
}

impl Input {
    fn push(&mut self, part: &[u8]) {
        if let Some(target) = self.bytes.get_mut(self.len..self.len + part.len()) {
            target.copy_from_slice(part);
            self.len += part.len();
        }
    }

    fn push_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.push(&address.octets()),
            IpAddr::V6(address) => self.push(&address.octets()),
        }
    }
}
