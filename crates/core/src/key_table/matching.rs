//! Which of the four tags of a line may be of a key, in one comparison of vectors.
//!
//! The upper halves of the tags are compared: 31 bits of the fingerprint. The caller reads the tag of a match again, as an
//! atomic, and compares all of it. So it matters only that a key is not missed: a tag that no thread writes meanwhile is
//! read as it is, and one that is written is read as before or as after.
//!
//! The one module of the table that needs `unsafe`: Rust has no vector reads of atomics.
#![allow(unsafe_code, reason = "Rust has no vector reads of atomics")]

use super::slots::LINE_SLOTS;
use super::word::Fingerprint;
use crate::runtime::region::CacheLine;

/// A bit for each slot whose tag may be of the key. Without branches, as the place of a match cannot be predicted.
#[inline(always)]
pub(super) fn matching_tags(line: &CacheLine, fingerprint: Fingerprint) -> u32 {
    #[cfg(all(target_arch = "x86_64", not(any(sluice_loom, sluice_shuttle, miri))))]
    return matching_by_vector(line, fingerprint.upper_half());
    #[cfg(not(all(target_arch = "x86_64", not(any(sluice_loom, sluice_shuttle, miri)))))]
    matching_one_by_one(line, fingerprint.upper_half())
}

/// Of other processors, and of what checks models.
#[cfg(any(test, not(target_arch = "x86_64"), sluice_loom, sluice_shuttle, miri))]
#[inline(always)]
fn matching_one_by_one(line: &CacheLine, wanted: u32) -> u32 {
    use crate::runtime::sync::Ordering;

    // Relaxed: the tag of a match is read again.
    let matches = |lane: usize| (line.0[lane].load(Ordering::Relaxed) >> 32) as u32 == wanted;
    (0..LINE_SLOTS).fold(0, |found, lane| found | u32::from(matches(lane)) << lane)
}

/// By SSE2.
#[cfg(all(target_arch = "x86_64", not(any(sluice_loom, sluice_shuttle, miri))))]
#[inline(always)]
fn matching_by_vector(line: &CacheLine, wanted: u32) -> u32 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m128, _mm_castps_si128, _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_movemask_ps, _mm_set1_epi32,
        _mm_shuffle_ps,
    };

    const { assert!(LINE_SLOTS == 4) };
    let (low, high): (__m128, __m128);
    // SAFETY: the line is borrowed, aligned to 64 bytes, and its first half is what is read. Other threads may write to it
    // by atomics meanwhile, which is why no Rust read will do: the instructions read each aligned word at once, as relaxed
    // loads would. Not `pure`: each look reads anew.
    unsafe {
        asm!(
            "movaps {low}, [{line}]",
            "movaps {high}, [{line} + 16]",
            line = in(reg) line,
            low = out(xmm_reg) low,
            high = out(xmm_reg) high,
            options(readonly, nostack, preserves_flags),
        );
    }
    // SAFETY: instructions of SSE2 on registers; every x86-64 processor has them.
    unsafe {
        let upper_halves = _mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(low, high));
        let equal = _mm_cmpeq_epi32(upper_halves, _mm_set1_epi32(wanted.cast_signed()));
        _mm_movemask_ps(_mm_castsi128_ps(equal)).cast_unsigned()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::runtime::sync::Ordering;

    const LOWER: u64 = (1 << 32) - 1;

    /// Every way to match, whatever the other words of the line are.
    fn check(tags: [u64; 4], states: [u64; 4], wanted: u32) {
        let line = CacheLine::default();
        for (word, value) in line.0.iter().zip(tags.into_iter().chain(states)) {
            word.store(value, Ordering::Relaxed);
        }
        let expected =
            (0..4).filter(|lane| tags[*lane] >> 32 == u64::from(wanted)).map(|lane| 1 << lane).sum();
        assert_eq!(matching_one_by_one(&line, wanted), expected, "{tags:x?} {wanted:x}");
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        assert_eq!(matching_by_vector(&line, wanted), expected, "{tags:x?} {wanted:x}");
    }

    #[test]
    fn both_forms_match_the_upper_halves_of_random_tags() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..if cfg!(miri) { 100 } else { 200_000 } {
            let mut words = || [(); 4].map(|()| random.u64(..));
            let (mut tags, states) = (words(), words());
            let wanted = random.u32(..);
            for tag in &mut tags {
                match random.u8(0..4) {
                    0 => *tag = u64::from(wanted) << 32 | *tag & LOWER,
                    // One bit of the upper half differs.
                    1 => *tag = (u64::from(wanted) << 32 | *tag & LOWER) ^ 1 << random.u32(32..64),
                    // The lower half would match.
                    2 => *tag = u64::from(wanted ^ 1) << 32 | u64::from(wanted),
                    _ => {}
                }
            }
            check(tags, states, wanted);
        }
    }

    #[test]
    fn both_forms_match_extreme_words() {
        let extremes =
            [0, 1, LOWER, LOWER + 1, i64::MAX.cast_unsigned(), 1 << 63, u64::MAX - LOWER, u64::MAX];
        for wanted in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
            for first in extremes {
                for second in extremes {
                    check([first, second, second, first], [u64::from(wanted) << 32; 4], wanted);
                    check([second, first, first, first], [0; 4], wanted);
                }
            }
        }
    }
}
