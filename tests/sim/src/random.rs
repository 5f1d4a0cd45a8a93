//! Randomness that is a function of a seed: every part of a run has a stream of its own, so that dropping one part leaves the others alone.

/// A stream of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream `name` of a seed.
    pub fn of(seed: u64, name: &str) -> Random {
        let folded = name.bytes().fold(seed, |folded, byte| mix(folded ^ u64::from(byte)));
        Random(mix(folded ^ seed.rotate_left(32)))
    }

    /// The stream `name` of a seed, of number `number`.
    pub fn numbered(seed: u64, name: &str, number: u64) -> Random {
        let Random(state) = Random::of(seed, name);
        Random(mix(state ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.any() % bound
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// `true` in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the choices, of which there is at least one.
    pub fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// Spreads every bit over all others.
pub fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// A 64-bit fingerprint of bytes, for checksums and mock signatures: fast, and no more than that.
pub fn fingerprint(key: u64, bytes: &[u8]) -> u64 {
    let mut folded = mix(key ^ bytes.len() as u64);
    let mut fold = |word: [u8; 8]| {
        folded = (folded ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    };
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| fold(*word));
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        fold(word);
    }
    mix(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let three = |name: &str, seed| {
            let mut random = Random::of(seed, name);
            [random.any(), random.any(), random.any()]
        };
        assert_eq!(three("network", 7), three("network", 7));
        assert_ne!(three("network", 7), three("disk", 7));
        assert_ne!(three("network", 7), three("network", 8));
    }

    #[test]
    fn fingerprint_depends_on_every_byte_and_on_the_key() {
        let bytes = [5u8; 21];
        let plain = fingerprint(1, &bytes);
        assert_ne!(plain, fingerprint(2, &bytes));
        for place in 0..bytes.len() {
            let mut changed = bytes;
            changed[place] ^= 1;
            assert_ne!(plain, fingerprint(1, &changed), "byte {place}");
        }
    }
}
