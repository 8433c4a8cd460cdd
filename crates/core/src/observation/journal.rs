//! What happened lately: alerts, bans, changes of circuits, actions of operators.

use std::collections::VecDeque;

/// How many are kept.
pub const MAX_ENTRIES: usize = 512;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Numbered from 1 as they come.
    pub number: u64,
    /// The number of the change that it is of, where each thread that heard of it may report it.
    pub change: Option<u64>,
    /// What JavaScript knows of it, as JSON.
    pub text: String,
}

/// The newest notes of all threads. What several threads report is kept once: one note of a change, and of notes without a
/// change one of the same text.
#[derive(Debug, Default)]
pub struct Journal {
    notes: VecDeque<Note>,
    last: u64,
}

impl Journal {
    pub(super) const fn new() -> Self {
        Self { notes: VecDeque::new(), last: 0 }
    }

    /// Adds a note, unless one of those kept is of the same; true when it was added.
    pub fn add(&mut self, text: String, change: Option<u64>) -> bool {
        let is_same = |note: &Note| note.change == change && (change.is_some() || note.text == text);
        if self.notes.iter().rev().any(is_same) {
            return false;
        }
        if self.notes.len() == MAX_ENTRIES {
            self.notes.pop_front();
        }
        self.last += 1;
        self.notes.push_back(Note { number: self.last, change, text });
        true
    }

    /// The notes with a higher number, the oldest first.
    #[must_use]
    pub fn since(&self, number: u64) -> Vec<Note> {
        self.notes.iter().filter(|note| note.number > number).cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.notes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_once() {
        let mut journal = Journal::new();
        assert!(journal.add("a".into(), None));
        assert!(!journal.add("a".into(), None), "another thread reports the same");
        for n in 0..MAX_ENTRIES {
            journal.add(n.to_string(), None);
        }
        let all = journal.since(0);
        assert_eq!((all.len(), all[0].number), (MAX_ENTRIES, 2), "the oldest has gone");
        assert_eq!(journal.since(MAX_ENTRIES as u64).len(), 1);
    }

    #[test]
    fn keeps_one_note_of_each_change() {
        let mut journal = Journal::new();
        assert!(journal.add("open at 1".into(), Some(7)));
        assert!(!journal.add("open at 2".into(), Some(7)), "another thread heard of it later");
        assert!(journal.add("open at 1".into(), Some(8)), "it happened twice within a millisecond");
    }
}
