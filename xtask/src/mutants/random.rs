//! Random numbers that are the same on every machine.

/// The SplitMix64 generator (Steele, Lea, Flood 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// How many trials fail before the next success, if each succeeds with probability `rate`.
    pub(super) fn gap(&mut self, rate: f64) -> usize {
        // Never 0, whose logarithm is infinite.
        let uniform = ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        (uniform.ln() / (1.0 - rate).ln()) as usize
    }
}
