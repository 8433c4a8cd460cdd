//! Connections that are opened and closed, with caps in total and per client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::RwLock;

use rapidhash::fast::RandomState;
use sluice_core::{ConnectionOptions, ConnectionTracker, ConnectionTrackerOptions, Opened, ThreadId};

use super::{Call, Guard};
use crate::contenders::{Locks, NOW};
use crate::waited::Waited;

/// Caps that are not reached during a measurement.
const MAX: usize = 1_000_000;
const MAX_PER_CLIENT: usize = 1_000;

pub struct Sluice(ConnectionTracker);

/// All state behind one lock: connections by serial, and counts by client.
#[derive(Default)]
pub struct Plain(RwLock<Connections>);

#[derive(Default)]
struct Connections {
    last: u64,
    open: HashMap<u64, Connection, RandomState>,
    by_client: HashMap<IpAddr, usize, RandomState>,
}

struct Connection {
    client: IpAddr,
    opened_at: u64,
}

impl Sluice {
    pub fn new() -> Self {
        let options = ConnectionTrackerOptions {
            max: Some(MAX as u64),
            max_per_client: Some(MAX_PER_CLIENT as u64),
            ..ConnectionTrackerOptions::default()
        };
        Self(ConnectionTracker::new("benchmark", options.try_into().expect("valid options")))
    }
}

impl Guard for Sluice {
    const LOCKS: Locks = Locks::Hidden;

    fn call(&self, call: Call, _: &mut Waited) -> bool {
        let options = ConnectionOptions::session(ThreadId(1));
        match self.0.open(Some(call.ip), options, (*NOW, *NOW)).expect("an address") {
            Opened::Yes(connection) => self.0.close(&connection),
            Opened::No(_) => false,
        }
    }
}

impl Guard for Plain {
    const LOCKS: Locks = Locks::Measured;

    fn call(&self, call: Call, waited: &mut Waited) -> bool {
        let client = call.ip.parse().expect("an address");
        let opened = waited.write(&self.0).open(client, *NOW);
        opened.is_some_and(|serial| waited.write(&self.0).close(serial))
    }
}

impl Connections {
    fn open(&mut self, client: IpAddr, now: u64) -> Option<u64> {
        let of_client = self.by_client.entry(client).or_default();
        if self.open.len() >= MAX || *of_client >= MAX_PER_CLIENT {
            return None;
        }
        *of_client += 1;
        self.last += 1;
        self.open.insert(self.last, Connection { client, opened_at: now });
        Some(self.last)
    }

    fn close(&mut self, serial: u64) -> bool {
        let Some(Connection { client, opened_at }) = self.open.remove(&serial) else { return false };
        let of_client = self.by_client.get_mut(&client).expect("it has a connection");
        *of_client -= 1;
        if *of_client == 0 {
            self.by_client.remove(&client);
        }
        opened_at <= *NOW
    }
}
