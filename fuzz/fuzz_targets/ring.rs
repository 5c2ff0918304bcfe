//! Any bytes as a block of the ring: the walk ends, and every frame it yields lies inside the block, behind its header.

#![no_main]

use cormorant_afpacket::block::{self, FRAME_HEADER_BYTES, Walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut walk) = Walk::begin(data) else { return };
    let (mut frames, mut behind) = (0, 0);
    while let Ok(Some(place)) = walk.next(data) {
        frames += 1;
        assert!(frames * FRAME_HEADER_BYTES <= data.len(), "headers overlap");
        assert!(place.address.start >= behind + FRAME_HEADER_BYTES && place.address.end <= place.data.start);
        let captured = data.get(place.data.clone()).expect("inside the block");
        assert!(place.wire_bytes as usize >= captured.len());
        assert!(block::address(&data[place.address.clone()]).is_some());
        behind = place.address.start;
    }
});
