//! Reputations that processes share.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};

use sluice_core::ReputationOptions;
use sluice_machine::{Directory, Result, SharedReputation};

use crate::support::files;

/// Failures that ban. No ban ends, and no failure expires, while a test runs.
pub(crate) const MAX_FAILURES: u64 = 4;
const MONTH_MS: u64 = crate::support::MONTH_MS;

pub(crate) fn options(max_clients: u64) -> ReputationOptions {
    ReputationOptions { max_clients, ..ReputationOptions::new(MAX_FAILURES, MONTH_MS, MONTH_MS, MONTH_MS) }
}

pub(crate) fn open_with(path: &Path, options: ReputationOptions) -> Result<SharedReputation> {
    SharedReputation::open(&Directory::open(path)?, "logins", options.try_into()?)
}

pub(crate) fn open(path: &Path, max_clients: u64) -> SharedReputation {
    open_with(path, options(max_clients)).expect("fit")
}

/// Whether the client is banned after one more failure.
pub(crate) fn fail(reputation: &SharedReputation, ip: &str) -> bool {
    let now = reputation.shared().now();
    reputation.reputation().record_failure(ip, 1, Some("password"), now).expect("open").banned
}

pub(crate) fn ban(reputation: &SharedReputation, target: &str) -> bool {
    reputation.reputation().ban(target, None, Some("by hand"), reputation.shared().now()).expect("open")
}

pub(crate) fn unban(reputation: &SharedReputation, target: &str) -> bool {
    reputation.reputation().unban(target, reputation.shared().now()).expect("open")
}

pub(crate) fn is_banned(reputation: &SharedReputation, ip: &str) -> bool {
    reputation.reputation().is_banned(ip, reputation.shared().now()).expect("open")
}

/// Failures that count, and past bans.
pub(crate) fn history(reputation: &SharedReputation, ip: &str) -> (u64, u32) {
    let verdict = reputation.reputation().check(ip, reputation.shared().now()).expect("open");
    (verdict.failures, verdict.bans)
}

/// The files of lists in a directory.
pub(crate) fn list_files(path: &Path) -> Vec<PathBuf> {
    let is_list = |file: &PathBuf| file.to_string_lossy().contains(".lists.");
    files(path).into_iter().filter(is_list).collect()
}

pub(crate) fn address(host: u32) -> String {
    std::net::Ipv4Addr::from(0x0a00_0000 + host).to_string()
}
