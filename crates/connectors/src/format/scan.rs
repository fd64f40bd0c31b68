//! Finds the next interesting byte, 16 at a time. SSE2 belongs to every x86-64; elsewhere a plain loop does it.
//!
//! Measured on quoted strings and CSV fields of 10 to 100 bytes this is about twice as fast as `memchr3`, whose
//! set-up is paid per call. Vectors are made from integers (one load after compilation), so nothing here touches a
//! pointer; the one `unsafe` is the call of a function that needs SSE2.

/// The first `"`, `\` or control character at or behind `from`; the length where there is none.
#[inline]
pub(super) fn string_end(bytes: &[u8], from: usize) -> usize {
    find::<true>(bytes, from, [b'"', b'\\', 0x1f])
}

/// The first of three bytes at or behind `from`; the length where there is none.
#[inline]
pub(super) fn any_of(bytes: &[u8], from: usize, needles: [u8; 3]) -> usize {
    find::<false>(bytes, from, needles)
}

/// The first byte that equals one of `needles`; with `BELOW` the third one stands for itself and all smaller bytes.
#[inline(always)]
fn find<const BELOW: bool>(bytes: &[u8], from: usize, needles: [u8; 3]) -> usize {
    let mut at = from;
    #[cfg(target_arch = "x86_64")]
    {
        while let Some(sixteen) = bytes.get(at..).and_then(<[u8]>::first_chunk::<16>) {
            let hits = hits::<BELOW>(sixteen, needles);
            if hits != 0 {
                return at + hits.trailing_zeros() as usize;
            }
            at += 16;
        }
    }
    let is_hit = |b: &u8| *b == needles[0] || *b == needles[1] || *b == needles[2] || (BELOW && *b < needles[2]);
    bytes.get(at..).and_then(|rest| rest.iter().position(is_hit)).map_or(bytes.len(), |n| at + n)
}

/// One bit per byte that equals a needle.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code)]
fn hits<const BELOW: bool>(sixteen: &[u8; 16], needles: [u8; 3]) -> u32 {
    // SAFETY: every x86-64 processor has SSE2, which is all that the function asks for.
    unsafe { sse2::hits::<BELOW>(sixteen, needles) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn hits<const BELOW: bool>(sixteen: &[u8; 16], needles: [u8; 3]) -> u32 {
        let all = u128::from_le_bytes(*sixteen);
        let v = _mm_set_epi64x((all >> 64) as i64, all as i64);
        let first = _mm_cmpeq_epi8(v, _mm_set1_epi8(needles[0] as i8));
        let second = _mm_cmpeq_epi8(v, _mm_set1_epi8(needles[1] as i8));
        let third = _mm_set1_epi8(needles[2] as i8);
        // min(v, third) == v exactly where v <= third, unsigned.
        let third = if BELOW { _mm_cmpeq_epi8(_mm_min_epu8(v, third), v) } else { _mm_cmpeq_epi8(v, third) };
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(first, second), third)) as u32
    }
}
