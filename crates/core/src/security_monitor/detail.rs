//! The detail of an event, cut to what is kept.

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
    fn compares_what_is_kept() {
        let long = "x".repeat(256);
        assert_eq!(Given::cut(&format!("{long}a")).hash(), Given::cut(&format!("{long}b")).hash());
        assert_ne!(Given::cut("a").hash(), Given::cut("b").hash());
        assert_ne!(Given::cut("").hash(), Given::cut("\0").hash());
    }
}
