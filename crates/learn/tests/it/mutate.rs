//! Damaged copies of bytes: seeded, and as many as `CORMORANT_MUTATIONS` says.

use cormorant_learn::rng;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// How many damaged copies each test tries.
pub(crate) fn mutations() -> u64 {
    std::env::var("CORMORANT_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
}

/// Copy number `index` of `bytes` with one to four faults.
pub(crate) fn mutated(bytes: &[u8], index: u64) -> Vec<u8> {
    let mut rng = rng::stream(index, "mutation", bytes.len() as u64);
    let mut copy = bytes.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        damage(&mut copy, &mut rng);
    }
    copy
}

fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    if bytes.is_empty() {
        return bytes.push(rng.random());
    }
    let place = rng.random_range(0..bytes.len());
    let end = (place + rng.random_range(1..=9)).min(bytes.len());
    match rng.random_range(0..7) {
        0 => bytes[place] ^= 1 << rng.random_range(0..8),
        1 => bytes[place] = rng.random(),
        2 => bytes.truncate(place),
        3 => drop(bytes.drain(place..end)),
        4 => {
            let again = bytes[place..end].to_vec();
            bytes.splice(place..place, again);
        }
        5 => overwrite(bytes, place, &telling(rng)),
        _ => {
            // a MessagePack length or number that says much more than there is
            let lie = [0xdd, 0xdf, 0xc6, 0xdb, 0xcf, 0xd3, 0xcb][rng.random_range(0..7)];
            overwrite(bytes, place, &[lie, 0xff, 0xff, 0xff, 0xff]);
        }
    }
}

fn telling(rng: &mut ChaCha8Rng) -> Vec<u8> {
    match rng.random_range(0..6) {
        0 => f64::NAN.to_be_bytes().to_vec(),
        1 => f64::INFINITY.to_be_bytes().to_vec(),
        2 => (-1e308f64).to_be_bytes().to_vec(),
        3 => u32::MAX.to_be_bytes().to_vec(),
        4 => i64::MIN.to_be_bytes().to_vec(),
        _ => vec![0; 8],
    }
}

fn overwrite(bytes: &mut [u8], place: usize, new: &[u8]) {
    bytes[place..].iter_mut().zip(new).for_each(|(byte, new)| *byte = *new);
}
