//! The detail of an event, cut to what is kept.

use smallvec::SmallVec;

use crate::runtime::key_hash::{KeyHash, hash_bytes};

/// Most bytes of UTF-8 that are kept of a detail.
pub const MAX_DETAIL_BYTES: usize = 256;

/// A detail as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The text, or its beginning.
    pub text: Box<str>,
    /// Whether the text was longer.
    pub is_cut: bool,
}

/// A detail as it is given, cut but not yet copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    text: &'a str,
    is_cut: bool,
}

impl<'a> Given<'a> {
    /// The first 256 bytes, or less where a character would be split.
    pub(super) fn cut(text: &'a str) -> Self {
        if text.len() <= MAX_DETAIL_BYTES {
            return Self { text, is_cut: false };
        }
        let end = (0..=MAX_DETAIL_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        Self { text: &text[..end], is_cut: true }
    }

    /// The hash by which details are compared: of what is kept.
    pub(super) fn hash(self) -> KeyHash {
        hash_bytes(self.text.as_bytes())
    }
}

/// A detail in a place that is used again, or none. A text needs no allocation where it is short, as the name of a user is,
/// or where the place has held one as long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    text: SmallVec<[u8; SHORT]>,
    is_cut: bool,
    is_given: bool,
}

/// Bytes of a text that lie in the place itself: as many as make it no larger.
const SHORT: usize = 23;
/// Memory comes in multiples of so many bytes, so that texts of similar lengths share a size.
const GRAIN: usize = 16;

impl Kept {
    pub(super) fn replace(&mut self, detail: Option<Given<'_>>) {
        let Given { text, is_cut } = detail.unwrap_or(Given { text: "", is_cut: false });
        self.text.clear();
        if text.len() > self.text.capacity() {
            self.text.reserve_exact(text.len().next_multiple_of(GRAIN));
        }
        self.text.extend_from_slice(text.as_bytes());
        (self.is_cut, self.is_given) = (is_cut, detail.is_some());
    }

    pub(super) fn detail(&self) -> Option<Detail> {
        let text = || String::from_utf8_lossy(&self.text).into();
        self.is_given.then(|| Detail { text: text(), is_cut: self.is_cut })
    }
}

impl From<Given<'_>> for Detail {
    fn from(Given { text, is_cut }: Given<'_>) -> Self {
        Self { text: text.into(), is_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> (usize, bool) {
        let Detail { text: kept, is_cut } = Given::cut(text).into();
        assert!(text.starts_with(&*kept));
        (kept.len(), is_cut)
    }

    #[test]
    fn keeps_256_bytes_and_splits_no_character() {
        assert_eq!(cut(""), (0, false));
        assert_eq!(cut(&"x".repeat(256)), (256, false));
        assert_eq!(cut(&"x".repeat(257)), (256, true));
        assert_eq!(cut(&"ä".repeat(128)), (256, false));
        assert_eq!(cut(&format!("x{}", "ä".repeat(128))), (255, true));
        assert_eq!(cut(&"€".repeat(86)), (255, true));
        assert_eq!(cut(&format!("xx{}", "😀".repeat(64))), (254, true));
    }

    #[test]
    fn a_place_holds_the_last_detail_alone() {
        let mut kept = Kept::default();
        assert_eq!(kept.detail(), None);
        let long = "ä".repeat(200);
        for text in ["a", long.as_str(), "", "0123456789abcdef", "0123456789abcdef0"] {
            kept.replace(Some(Given::cut(text)));
            assert_eq!(kept.detail(), Some(Given::cut(text).into()));
        }
        kept.replace(None);
        assert_eq!(kept.detail(), None);
    }

    #[test]
    fn compares_what_is_kept() {
        let long = "x".repeat(256);
        assert_eq!(Given::cut(&format!("{long}a")).hash(), Given::cut(&format!("{long}b")).hash());
        assert_ne!(Given::cut("a").hash(), Given::cut("b").hash());
        assert_ne!(Given::cut("").hash(), Given::cut("\0").hash());
    }
}
