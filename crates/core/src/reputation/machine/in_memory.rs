//! Files of lists for tests, in memory of the process.
#![allow(dead_code, reason = "models and tests use some of it each")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::published_ranges::RangeFiles;
use crate::Result;

#[derive(Clone, Default)]
pub(in crate::reputation) struct InMemory(Arc<Mutex<BTreeMap<u64, Vec<u8>>>>);

impl InMemory {
    /// Takes a file away, as a failure of the system does for a while.
    pub(in crate::reputation) fn take(&self, name: u64) -> Vec<u8> {
        self.0.lock().expect("no panic").remove(&name).expect("a file")
    }

    pub(in crate::reputation) fn put(&self, name: u64, bytes: &[u8]) {
        self.0.lock().expect("no panic").insert(name, bytes.to_vec());
    }
}

impl RangeFiles for InMemory {
    fn create(&self, name: u64, bytes: &[u8]) -> Result<bool> {
        let mut files = self.0.lock().expect("no panic");
        let is_new = !files.contains_key(&name);
        if is_new {
            files.insert(name, bytes.to_vec());
        }
        Ok(is_new)
    }

    fn read(&self, name: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().expect("no panic").get(&name).cloned())
    }

    fn remove(&self, name: u64) {
        self.0.lock().expect("no panic").remove(&name);
    }

    fn names(&self) -> Vec<u64> {
        self.0.lock().expect("no panic").keys().copied().collect()
    }

    fn describe(&self, name: u64) -> String {
        format!("lists {name:x}")
    }
}
