//! Random identifiers and keys, derived from a seed that the host provides. The core has no source of randomness.

use hmac_sha256::Hash;

/// A deterministic random number generator: SHA-256 over the seed and a counter.
pub(crate) struct SeededRandom {
    seed: [u8; 32],
    drawn: u64,
}

impl SeededRandom {
    /// `seed` must be random and different in every worker.
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Returns a unique identifier: 128 bits in hexadecimal.
    pub(crate) fn next_id(&mut self) -> String {
        self.draw().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns a key for a keyed hash.
    pub(crate) fn next_key(&mut self) -> (u64, u64) {
        let drawn = self.draw();
        let mut words = drawn.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    fn draw(&mut self) -> [u8; 32] {
        self.drawn = self.drawn.wrapping_add(1);
        let mut hash = Hash::new();
        hash.update(self.seed);
        hash.update(self.drawn.to_le_bytes());
        hash.finalize()
    }
}

impl std::fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeededRandom(redacted)")
    }
}
