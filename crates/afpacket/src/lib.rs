//! Receives frames from a Linux interface through a ring shared with the kernel (AF_PACKET, TPACKET_V3).
//!
//! The one place with `unsafe`: system calls and the shared memory, nothing else. What a frame means is none of its
//! business; `cormorant-net` asks it for frames and counters.
