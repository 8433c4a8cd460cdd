//! A slice of fixed length whose parts are allocated on first use: a table with a large bound takes no memory before
//! they come.

use std::sync::OnceLock;

/// Values that are made together.
const CHUNK: usize = 256;

/// Values of one kind, each the same at first.
#[derive(Debug)]
pub(crate) struct Chunks<T> {
    chunks: Box<[OnceLock<Box<[T]>>]>,
    length: usize,
    make: fn() -> T,
}

impl<T> Chunks<T> {
    pub(crate) fn new(length: usize, make: fn() -> T) -> Self {
        let chunks = (0..length.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
        Self { chunks, length, make }
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The value at a place, which is made with its neighbours where it is not there yet.
    pub(crate) fn at(&self, index: usize) -> &T {
        let chunk = index / CHUNK;
        let length = CHUNK.min(self.length - chunk * CHUNK);
        let values = self.chunks[chunk].get_or_init(|| (0..length).map(|_| (self.make)()).collect());
        &values[index % CHUNK]
    }

    /// The value at a place, where it was made.
    pub(crate) fn find(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }

    /// Every value that was made, in order.
    pub(crate) fn made(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().filter_map(OnceLock::get).flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn makes_what_is_used_and_its_neighbours() {
        let chunks = Chunks::new(CHUNK + 3, || Cell::new(0));
        assert_eq!((chunks.len(), chunks.made().count()), (CHUNK + 3, 0));
        chunks.at(CHUNK + 2).set(7);
        assert_eq!(chunks.made().map(Cell::get).collect::<Vec<_>>(), [0, 0, 7]);
        assert!(chunks.find(0).is_none() && chunks.find(2 * CHUNK).is_none());
        chunks.at(0).set(1);
        assert_eq!((chunks.made().count(), chunks.at(CHUNK + 2).get()), (CHUNK + 3, 7));
    }
}
