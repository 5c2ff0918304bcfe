//! Any text as a filter, over any bytes: what is compiled is what a kernel takes, and running it ends.

#![no_main]

use cormorant_net::capture::LinkType;
use cormorant_net::filter::Filter;
use libfuzzer_sys::fuzz_target;

const LINKS: [u32; 14] = [0, 1, 9, 12, 14, 50, 101, 105, 108, 113, 127, 228, 229, 276];

fuzz_target!(|data: &[u8]| {
    // A text, a line end, a packet.
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (text, packet) = data.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(filter) = Filter::compile(text) else { return };
    for link in LINKS {
        let Ok(program) = filter.program(LinkType(link)) else { continue };
        assert_eq!(program.check(), Ok(()), "{text}");
        program.matches(packet, packet.len() as u32);
    }
});
