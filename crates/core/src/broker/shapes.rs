//! Shapes of payloads: the keys of plain objects, known to all threads by a number.

use parking_lot::Mutex;

/// Most shapes. An application has a few for each endpoint; objects with changing keys must not fill the memory.
const MOST_SHAPES: usize = 1024;

/// Longest text of a shape, in bytes.
const LONGEST_SHAPE: usize = 1024;

/// The shapes of a process, from 0. They are never removed: messages on their way refer to them.
#[derive(Debug, Default)]
pub struct Shapes {
    texts: Mutex<Vec<Box<str>>>,
}

impl Shapes {
    /// No shapes.
    #[must_use]
    pub const fn new() -> Self {
        Self { texts: Mutex::new(Vec::new()) }
    }

    /// The number of a shape; the same for equal texts in all threads. `None` where it is too long, or the table is full.
    /// Costs a pass over the table: threads keep what they were answered.
    pub fn number(&self, text: &str) -> Option<u32> {
        if text.len() > LONGEST_SHAPE {
            return None;
        }
        let mut texts = self.texts.lock();
        let known = texts.iter().position(|other| **other == *text);
        let number = match known {
            Some(number) => number,
            None if texts.len() == MOST_SHAPES => return None,
            None => {
                texts.push(text.into());
                texts.len() - 1
            }
        };
        u32::try_from(number).ok()
    }

    /// The text of a shape that has this number.
    pub fn text(&self, number: u32) -> Option<String> {
        let texts = self.texts.lock();
        texts.get(usize::try_from(number).ok()?).map(|text| text.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number() {
        let shapes = Shapes::new();
        assert_eq!([shapes.number("[\"a\"]"), shapes.number("[\"b\"]")], [Some(0), Some(1)]);
        assert_eq!(shapes.number("[\"a\"]"), Some(0));
        assert_eq!(shapes.text(1).as_deref(), Some("[\"b\"]"));
        assert_eq!(shapes.text(2), None);
    }

    #[test]
    fn a_full_table_keeps_its_shapes_and_takes_no_other() {
        let shapes = Shapes::new();
        for number in 0..MOST_SHAPES {
            assert_eq!(shapes.number(&number.to_string()), u32::try_from(number).ok());
        }
        assert_eq!(shapes.number("one more"), None);
        assert_eq!(shapes.number("7"), Some(7));
    }

    #[test]
    fn a_long_text_has_no_number() {
        let shapes = Shapes::new();
        assert_eq!(shapes.number(&"a".repeat(LONGEST_SHAPE)), Some(0));
        assert_eq!(shapes.number(&"a".repeat(LONGEST_SHAPE + 1)), None);
    }
}
