//! UDP (RFC 768).

use super::transport::{Transport, with_ports};
use super::{Fault, Fragment};

/// Reads the header at the start of `data`, the captured part of `bytes` bytes above IP. The length field of a
/// first fragment counts the whole datagram, so only an unfragmented one can contradict the packet; 0 is what
/// jumbograms (RFC 2675) and segmentation offload leave there.
#[inline]
pub(super) fn decode(data: &[u8], bytes: u32, fragment: Fragment) -> Transport {
    let mut transport = with_ports(data, bytes, 8);
    if let Some(&[_, _, _, _, high, low, _, _]) = data.first_chunk::<8>() {
        let stated = u32::from(u16::from_be_bytes([high, low]));
        let beyond = stated > bytes && fragment == Fragment::None;
        if (1..8).contains(&stated) || beyond {
            transport.fault = Some(Fault::BadUdpLength);
        }
    }
    transport
}
