//! Numbers and letters out of `(seed, event, field)`: a counter-based hash (splitmix64), so that any event can be
//! made without making those before it, by any shard, in any order.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
const FIELD: u64 = 0xD1B5_4A32_D192_ED03;

/// The finaliser of splitmix64.
#[inline]
pub(crate) fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(GAMMA);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The random bits of one event; every field has its own number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The bits of event `n` under a seed that went through [`mix`].
    #[inline]
    pub(crate) fn new(mixed_seed: u64, n: u64) -> Self {
        Self(mix(n ^ mixed_seed))
    }

    #[inline]
    pub(crate) fn bits(self, field: u64) -> u64 {
        mix(self.0.wrapping_add(field.wrapping_mul(FIELD)))
    }

    /// An integer in `0..k`.
    #[inline]
    pub(crate) fn below(self, field: u64, k: i64) -> i64 {
        (self.bits(field) % k as u64) as i64
    }

    /// A price: log-uniform over 100 to 100 000 000.
    #[inline]
    pub(crate) fn price(self, field: u64) -> i64 {
        let unit = (self.bits(field) >> 11) as f64 * (1.0 / (1u64 << 53) as f64);
        (10f64.powf(unit * 6.0) * 100.0).round_ties_even() as i64
    }

    /// Appends `length` letters `a..=z`; eight of them take one field number.
    #[inline]
    pub(crate) fn letters(self, field: u64, length: usize, out: &mut Vec<u8>) {
        let end = out.len() + length;
        for word in 0..length.div_ceil(8) as u64 {
            let letters = self.bits(field + word).to_le_bytes().map(|b| b % 26 + b'a');
            out.extend_from_slice(&letters);
        }
        out.truncate(end);
    }
}
