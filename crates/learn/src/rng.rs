//! Seeded randomness: one ChaCha stream per named purpose, so that adding a draw in one place moves no other.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A generator for `purpose` number `index` under `seed`; the same on every machine and for any number of threads.
#[must_use]
pub fn stream(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(purpose.as_bytes()).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// Puts values in an order drawn from [`stream`].
pub fn shuffle<T>(values: &mut [T], seed: u64, purpose: &str, index: u64) {
    values.shuffle(&mut stream(seed, purpose, index));
}

/// FNV-1a, 64 bits: a fixed function of the name, unlike the standard library's hashers.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
