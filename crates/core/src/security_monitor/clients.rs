//! A bounded set of clients, in buckets with a lock each.
//!
//! A client's hash determines its bucket. A thread waits for another only in the same bucket, for the time of one call. When
//! all places are taken, a new client replaces the one with the lowest eviction rank among the next [`PROBES`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;

use super::client::{Client, EvictionRank};
use super::rule::Rule;
use crate::connection_tracker::gauge::Gauge;
use crate::runtime::chunks::Chunks;
use crate::runtime::key_hash::hash_bytes;
use crate::runtime::region;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::runtime::sync::Mutex;

/// Clients per bucket, on average, when all places are taken.
const PER_BUCKET: u64 = 4;

/// Clients that are compared for an eviction; the last bucket is compared as a whole.
const PROBES: usize = 16;

/// Most buckets that are searched for them: fewer clients are there only while others are being replaced.
const PROBED_BUCKETS: usize = 64;

/// How often an eviction is tried again when another thread was faster.
const ATTEMPTS: usize = 8;

#[derive(Debug)]
pub(super) struct Clients {
    /// A power of two of them.
    buckets: Chunks<Mutex<Vec<Client>>>,
    held: Gauge,
    most: u64,
    evictions: ShardedCounters<1>,
}

/// A candidate for eviction.
#[derive(Clone, Copy)]
struct Candidate {
    bucket: usize,
    address: IpAddr,
    rank: EvictionRank,
}

/// An address, and what determines its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct HashedAddress {
    pub(super) ip: IpAddr,
    hash: u64,
}

impl From<IpAddr> for HashedAddress {
    fn from(ip: IpAddr) -> Self {
        let octets = match ip {
            // No IPv6 client is in this range: such addresses are mapped to IPv4 before.
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Self { ip, hash: hash_bytes(&octets).halves().0 }
    }
}

impl Clients {
    /// Least bytes of a client.
    pub(super) const BYTES_EACH: u64 = size_of::<Client>() as u64;

    pub(super) fn new(most: u64) -> Self {
        let buckets = most.div_ceil(PER_BUCKET).next_power_of_two();
        let buckets = Chunks::new(buckets as usize, || Mutex::new(Vec::new()));
        Self { buckets, held: Gauge::new(), most, evictions: ShardedCounters::new() }
    }

    /// Prefetches the bucket of a client.
    #[inline]
    pub(super) fn prefetch(&self, address: HashedAddress) {
        if let Some(bucket) = self.buckets.find(self.bucket_of(address)) {
            region::prefetch(bucket);
        }
    }

    /// Runs `call` on the client, which is added where it is not known. `call` must not use other clients.
    pub(super) fn with<R>(&self, address: HashedAddress, now: u64, call: impl FnOnce(&mut Client) -> R) -> R {
        let (home, address) = (self.bucket_of(address), address.ip);
        {
            let mut bucket = self.buckets.at(home).lock();
            if let Some(client) = find(&mut bucket, address) {
                return call(client);
            }
            if self.held.try_raise(self.most) {
                return call(admit(&mut bucket, Client::new(address)));
            }
        }
        self.evictions.add(0, 1);
        let Some(evicted) = self.evict(home, now) else {
            // Every place is being replaced: this client is judged by this one event and not kept.
            return call(&mut Client::new(address));
        };
        let mut bucket = self.buckets.at(home).lock();
        if let Some(client) = find(&mut bucket, address) {
            // Another thread has added it: the evicted client's place is free again.
            self.held.lower();
            return call(client);
        }
        call(admit(&mut bucket, evicted.renamed(address)))
    }

    /// Runs `call` on the client if it is known.
    pub(super) fn existing<R>(&self, address: HashedAddress, call: impl FnOnce(&Client) -> R) -> Option<R> {
        let mut bucket = self.buckets.at(self.bucket_of(address)).lock();
        find(&mut bucket, address.ip).map(|client| call(client))
    }

    /// Removes every client.
    pub(super) fn clear(&self) {
        for bucket in self.buckets.made() {
            for _ in std::mem::take(&mut *bucket.lock()) {
                self.held.lower();
            }
        }
    }

    /// How many clients are tracked.
    pub(super) fn count(&self) -> u64 {
        self.held.get()
    }

    /// How many clients were evicted.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.sum(0)
    }

    /// The clients with the most events, at most `limit`, in descending order. One pass over all.
    pub(super) fn top(&self, limit: usize) -> Vec<(IpAddr, u64)> {
        // The heap's top has the fewest events of those kept.
        let mut kept = BinaryHeap::new();
        for bucket in self.buckets.made() {
            for client in bucket.lock().iter() {
                kept.push(Reverse((client.total(), Reverse(client.address))));
                if kept.len() > limit {
                    kept.pop();
                }
            }
        }
        let descending = kept.into_sorted_vec().into_iter();
        descending.map(|Reverse((total, Reverse(address)))| (address, total)).collect()
    }

    /// A test set the clock back.
    pub(super) fn clock_was_set_back(&self, rules: &[Rule], now: u64) {
        for bucket in self.buckets.made() {
            bucket.lock().iter_mut().for_each(|client| client.clock_was_set_back(rules, now));
        }
    }

    /// Takes a client out to make room for another; its place stays counted.
    fn evict(&self, home: usize, now: u64) -> Option<Client> {
        (0..ATTEMPTS).find_map(|_| {
            let Candidate { bucket, address, rank } = self.lowest_rank(home, now)?;
            let mut bucket = self.buckets.at(bucket).lock();
            let place = bucket.iter().position(|client| client.address == address)?;
            // A concurrent event may have raised its rank.
            (bucket[place].rank(now) <= rank).then(|| bucket.swap_remove(place))
        })
    }

    /// The client with the lowest rank of those compared. Takes one lock at a time, so the candidate may be gone afterwards.
    fn lowest_rank(&self, home: usize, now: u64) -> Option<Candidate> {
        let mut least: Option<Candidate> = None;
        let mut probed = 0;
        for bucket in (home..home + self.buckets.len().min(PROBED_BUCKETS)).map(|n| n & self.mask()) {
            for client in self.buckets.at(bucket).lock().iter() {
                let rank = client.rank(now);
                if least.is_none_or(|least| rank < least.rank) {
                    least = Some(Candidate { bucket, address: client.address, rank });
                }
                probed += 1;
            }
            if probed >= PROBES {
                break;
            }
        }
        least
    }

    fn bucket_of(&self, address: HashedAddress) -> usize {
        address.hash as usize & self.mask()
    }

    fn mask(&self) -> usize {
        self.buckets.len() - 1
    }
}

fn find(bucket: &mut [Client], address: IpAddr) -> Option<&mut Client> {
    let client = bucket.iter_mut().find(|client| client.address == address)?;
    region::prefetch_all(client);
    Some(client)
}

fn admit(bucket: &mut Vec<Client>, client: Client) -> &mut Client {
    // Buckets hold a few large clients: spare capacity would be most of their memory.
    bucket.reserve_exact(1);
    bucket.push(client);
    let last = bucket.len() - 1;
    &mut bucket[last]
}

#[cfg(all(test, sluice_loom))]
mod models;
#[cfg(test)]
mod samples;
#[cfg(all(test, not(sluice_loom)))]
mod tests;
