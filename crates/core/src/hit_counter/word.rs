//! The word of a key: a count and the end of its window.
//!
//! ```text
//! end : e | count : 60 - e | scale : 2
//! ```
//!
//! The count is kept with a bias, so 0 and less keep their window, and no word of a window is 0. The end is in units of
//! the scale, modulo its field:
//!
//! | scale | unit | longest window | counts |
//! |---|---|---|---|
//! | 0 | 1 ms | 198 days | −1 048 575 to 15 728 639 |
//! | 1 | 64 ms | 2 years | −16 777 215 to 251 658 239 |
//! | 2 | 4096 ms | 34 years | −67 108 863 to 1 006 632 959 |
//! | 3 | | never ends | as scale 2 |
//!
//! A window has the first scale that holds its length and its count, so all but huge counts end to the millisecond. A
//! count that outgrows its scale moves its window to the next one, whose end is rounded up.
//!
//! A running window differs from an old one by the distance of its end from now: an end is ahead if it is within the
//! longest window that the counter has had. The field of scale 0 wraps after two years. A key that returns just before
//! it wraps may then find an old window running once.

use super::window::WindowLength;

/// How late a thread may be between reading the clock and counting: an hour.
pub(super) const LATE_MS: u64 = 3_600_000;

/// The table uses the other two bits.
const BITS: u32 = 62;
const SCALE_BITS: u32 = 2;
const FOREVER: usize = 3;

/// How ends and counts of a word are kept.
#[derive(Clone, Copy)]
struct Scale {
    /// The unit is 2 to this power, in milliseconds.
    unit_bits: u32,
    end_bits: u32,
}

const SCALES: [Scale; 3] = [
    Scale { unit_bits: 0, end_bits: 36 },
    Scale { unit_bits: 6, end_bits: 32 },
    Scale { unit_bits: 12, end_bits: 30 },
];

impl Scale {
    const fn count_bits(self) -> u32 {
        BITS - SCALE_BITS - self.end_bits
    }

    const fn bias(self) -> i64 {
        1 << (self.count_bits() - 4)
    }

    const fn least(self) -> i64 {
        1 - self.bias()
    }

    const fn most(self) -> i64 {
        (1 << self.count_bits()) - 1 - self.bias()
    }

    /// A quarter of the field: an end then stays ahead for long enough after it is read by a late clock.
    const fn longest_ms(self) -> u64 {
        self.unit_ms() << (self.end_bits - 2)
    }

    const fn unit_ms(self) -> u64 {
        1 << self.unit_bits
    }

    const fn end_mask(self) -> u64 {
        (1 << self.end_bits) - 1
    }

    const fn holds(self, count: i64) -> bool {
        self.least() <= count && count <= self.most()
    }
}

const FINEST: Scale = SCALES[0];
const COARSEST: Scale = SCALES[2];

/// The word in a slot; 0 where no window runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountWord(pub(super) u64);

/// A window that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// From [`LEAST`](Self::LEAST) to [`MOST`](Self::MOST): what goes beyond is lost.
    pub(super) count: i64,
    pub(super) left: WindowLength,
    /// In milliseconds of the clock.
    ends: Option<u64>,
}

impl Running {
    pub(super) const LEAST: i64 = COARSEST.least();
    pub(super) const MOST: i64 = COARSEST.most();

    pub(super) fn begin(count: i64, window: WindowLength, now_ms: u64) -> Self {
        let count = count.clamp(Self::LEAST, Self::MOST);
        match window {
            WindowLength::Ms(ms) if ms <= WindowLength::MOST_MS => {
                Self { count, left: window, ends: Some(now_ms + ms) }
            }
            WindowLength::Ms(_) | WindowLength::Forever => {
                Self { count, left: WindowLength::Forever, ends: None }
            }
        }
    }

    pub(super) fn counting(self, n: i64) -> Self {
        Self { count: self.count.saturating_add(n).clamp(Self::LEAST, Self::MOST), ..self }
    }

    #[inline]
    pub(super) fn word(&self) -> CountWord {
        match self.left {
            WindowLength::Ms(left) if self.fits(FINEST, left) => self.ending_in(0, FINEST),
            WindowLength::Ms(left) => self.coarse_word(left),
            WindowLength::Forever => self.in_scale(FOREVER, COARSEST, 0),
        }
    }

    #[cold]
    fn coarse_word(&self, left: u64) -> CountWord {
        // The last scale holds every count and every window that ends.
        let number = SCALES.iter().position(|scale| self.fits(*scale, left)).unwrap_or(SCALES.len() - 1);
        self.ending_in(number, SCALES[number])
    }

    const fn fits(&self, scale: Scale, left: u64) -> bool {
        left <= scale.longest_ms() && scale.holds(self.count)
    }

    fn ending_in(&self, number: usize, scale: Scale) -> CountWord {
        let rounding = scale.unit_ms() - 1;
        let end = (self.ends.unwrap_or(0) + rounding) >> scale.unit_bits & scale.end_mask();
        self.in_scale(number, scale, end)
    }

    const fn in_scale(&self, number: usize, scale: Scale, end: u64) -> CountWord {
        let count = (self.count + scale.bias()).cast_unsigned();
        CountWord(end << (BITS - scale.end_bits) | count << SCALE_BITS | number as u64)
    }
}

impl CountWord {
    /// The window that runs at `now_ms`, if one does.
    #[inline]
    pub(super) fn running(self, now_ms: u64, longest: u64) -> Option<Running> {
        if self.0 == 0 {
            return None;
        }
        if self.scale() == 0 {
            return self.running_in(FINEST, now_ms, longest);
        }
        self.running_coarsely(now_ms, longest)
    }

    #[cold]
    fn running_coarsely(self, now_ms: u64, longest: u64) -> Option<Running> {
        match SCALES.get(self.scale()) {
            Some(scale) => self.running_in(*scale, now_ms, longest),
            None => Some(Running { count: self.in_field(COARSEST), left: WindowLength::Forever, ends: None }),
        }
    }

    #[inline(always)]
    fn running_in(self, scale: Scale, now_ms: u64, longest: u64) -> Option<Running> {
        let end = self.0 >> (BITS - scale.end_bits);
        let ahead = end.wrapping_sub(now_ms >> scale.unit_bits) & scale.end_mask();
        let longest = longest.min(scale.longest_ms());
        let reach = ((longest + LATE_MS) >> scale.unit_bits) + 1;
        if ahead == 0 || ahead > reach.min(scale.end_mask() / 2) {
            return None;
        }
        let left = (ahead << scale.unit_bits) - (now_ms & (scale.unit_ms() - 1));
        // The end was rounded up, or read by a late clock: no window has more left than the longest.
        Some(Running {
            count: self.in_field(scale),
            left: WindowLength::Ms(left.min(longest)),
            ends: Some(now_ms + left),
        })
    }

    /// The count, whether its window runs or not.
    pub(super) fn count(self) -> i64 {
        self.in_field(*SCALES.get(self.scale()).unwrap_or(&COARSEST))
    }

    const fn scale(self) -> usize {
        (self.0 & ((1 << SCALE_BITS) - 1)) as usize
    }

    const fn in_field(self, scale: Scale) -> i64 {
        let field = self.0 >> SCALE_BITS & ((1 << scale.count_bits()) - 1);
        field.cast_signed() - scale.bias()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;
    const NOW: u64 = 1_800_000_000_123;

    fn kept(count: i64, ms: u64) -> Running {
        Running::begin(count, WindowLength::Ms(ms), NOW).word().running(NOW, ms).expect("runs")
    }

    #[test]
    fn windows_of_common_lengths_are_exact_to_the_millisecond() {
        for ms in [1, 10, 999, DAY, 30 * DAY, 198 * DAY] {
            let word = Running::begin(1, WindowLength::Ms(ms), NOW).word();
            assert_eq!(word.running(NOW, ms).expect("runs").left, WindowLength::Ms(ms), "{ms}");
            assert_eq!(word.running(NOW + ms - 1, ms).expect("runs").left, WindowLength::Ms(1), "{ms}");
            assert!(word.running(NOW + ms, ms).is_none(), "{ms}");
        }
    }

    #[test]
    fn longer_windows_end_late_by_less_than_a_unit() {
        for (ms, unit) in [(199 * DAY, 64), (700 * DAY, 64), (800 * DAY, 4_096), (12_000 * DAY, 4_096)] {
            let word = Running::begin(1, WindowLength::Ms(ms), NOW).word();
            assert!(word.running(NOW + ms - 1, ms).is_some(), "{ms}");
            assert!(word.running(NOW + ms + unit, ms).is_none(), "{ms}");
            assert_eq!(word.running(NOW, ms).expect("runs").left, WindowLength::Ms(ms), "{ms}");
        }
        assert_eq!(kept(1, WindowLength::MOST_MS).left, WindowLength::Ms(WindowLength::MOST_MS));
        let beyond = Running::begin(1, WindowLength::Ms(WindowLength::MOST_MS + 1), NOW);
        assert_eq!(beyond.left, WindowLength::Forever);
    }

    #[test]
    fn counts_of_every_scale_are_exact_and_saturate_beyond() {
        let of_scales = SCALES.iter().flat_map(|scale| [scale.least(), scale.most()]);
        for count in of_scales.chain([0, 1, -1]) {
            assert_eq!(kept(count, 1_000).count, count);
            assert_eq!(kept(count + 1, 1_000).count, (count + 1).min(Running::MOST));
            assert_eq!(kept(count - 1, 1_000).count, (count - 1).max(Running::LEAST));
        }
        assert_eq!(kept(i64::MAX, 1_000).count, Running::MOST);
        assert_eq!(kept(i64::MIN, 1_000).count, Running::LEAST);
        let forever =
            Running::begin(i64::MAX, WindowLength::Forever, NOW).word().running(0, 0).expect("runs");
        assert_eq!((forever.count, forever.left), (Running::MOST, WindowLength::Forever));
    }

    #[test]
    fn no_word_of_a_window_is_0() {
        for count in [i64::MIN, 0, i64::MAX] {
            for window in
                [WindowLength::Ms(1), WindowLength::Ms(WindowLength::MOST_MS), WindowLength::Forever]
            {
                assert_ne!(Running::begin(count, window, 0).word(), CountWord(0));
            }
        }
    }

    #[test]
    fn a_window_of_a_count_that_outgrows_its_scale_ends_no_earlier() {
        let grown = kept(SCALES[0].most(), 1_000).counting(1);
        let word = grown.word();
        let running = word.running(NOW + 999, 1_000).expect("runs");
        assert_eq!(running.count, SCALES[0].most() + 1);
        assert!(word.running(NOW + 1_000 + 64, 1_000).is_none());
    }

    #[test]
    fn an_end_further_ahead_than_any_window_is_an_old_one() {
        let word = Running::begin(5, WindowLength::Ms(1_000), NOW).word();
        let late = |ms| word.running(NOW - ms, 1_000);
        assert_eq!(late(LATE_MS).expect("a late clock").left, WindowLength::Ms(1_000));
        assert!(late(LATE_MS + 2).is_none());
        // The field wraps: an old window looks ahead only just before its end comes round again.
        let wrap = 1 << SCALES[0].end_bits;
        assert!(word.running(NOW + wrap - LATE_MS - 2, 1_000).is_none());
    }
}
