//! One rate limit per client, kept in each of several maps. Keys are strings.

use rapidhash::fast::RandomState as RapidHash;
use std::hash::RandomState as SipHash;

use sluice_core::runtime::key_hash::KeyHash;

use crate::clients::{Addresses, Load, at_random};
use crate::contenders::{Limiter, Locks, Measured, Text, go_round, go_through, room};
use crate::gcra::{Limit, SLOW, WIDE};
use crate::governors::{Governor, Running, Standing};
use crate::maps::{InDashMap, InMutex, InPapaya, InRwLock};
use crate::sluice::{CodeUnits, Hashed, Sluice, WithoutHandles};
use crate::report::{Row, emit};
use crate::rounds::Plan;

/// The clients of a load, and how many of them are refused.
struct Mix {
    name: &'static str,
    clients: u32,
    /// How many of them are refused.
    used_up: u32,
    limit: Limit,
    calls: Calls,
}

/// The order in which clients call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// Known clients at random.
    Known,
    /// New clients, each once.
    New,
}

const CLIENTS: u32 = 10_000;
const NEW_CLIENTS: u32 = 1 << 16;
/// Number of calls in the order of a load.
const LENGTH: usize = 1 << 15;

const MIXES: [Mix; 7] = [
    known("read-heavy", CLIENTS, CLIENTS / 100 * 95, SLOW),
    known("mixed", CLIENTS, CLIENTS / 2, SLOW),
    Mix { name: "insert-heavy", clients: NEW_CLIENTS, used_up: 0, limit: SLOW, calls: Calls::New },
    known("one hot key, admitted", 1, 0, WIDE),
    known("one hot key, refused", 1, 1, SLOW),
    known("all admitted", CLIENTS, 0, SLOW),
    known("all refused", CLIENTS, CLIENTS, SLOW),
];

const fn known(name: &'static str, clients: u32, used_up: u32, limit: Limit) -> Mix {
    Mix { name, clients, used_up, limit, calls: Calls::Known }
}

/// The clients and calls of a mix, in every form that a contender takes.
struct Loads {
    addresses: Addresses,
    texts: Load<Text>,
    code_units: Load<&'static [u16]>,
    hashes: Load<KeyHash>,
}

impl Mix {
    fn loads(&self) -> Loads {
        let addresses = Addresses::of(self.clients);
        let order = match self.calls {
            Calls::Known => at_random(0, self.clients, LENGTH),
            Calls::New => (0..self.clients).collect(),
        };
        Loads {
            texts: Load::new(&order, self.used_up, |client| addresses.texts[client as usize]),
            code_units: Load::new(&order, self.used_up, |client| addresses.code_units[client as usize]),
            hashes: Load::new(&order, self.used_up, |client| addresses.hashes[client as usize]),
            addresses,
        }
    }
}

/// A contender prepared for a mix.
struct Contender<'a> {
    name: &'static str,
    locks: Locks,
    /// Runs one slice with this number of threads.
    run: Box<dyn Fn(usize) -> Measured + 'a>,
}

pub fn measure(plan: &Plan) {
    for mix in &MIXES {
        let loads = mix.loads();
        let contenders = contenders(plan, mix, &loads);
        let cases: Vec<_> = contenders
            .iter()
            .flat_map(|one| plan.threads.iter().map(move |threads| (one, *threads)))
            .collect();
        let samples = plan.interleaved(cases.len(), |case| (cases[case].0.run)(cases[case].1));
        for ((contender, threads), samples) in cases.iter().zip(&samples) {
            emit(
                &Row::new("contention", contender.name, *threads, samples).on(mix.name).with(contender.locks),
            );
        }
    }
}

fn contenders<'a>(plan: &'a Plan, mix: &'a Mix, loads: &'a Loads) -> Vec<Contender<'a>> {
    let Loads { addresses, texts, code_units, hashes } = loads;
    let of_units = (code_units, &addresses.code_units[..]);
    let of_hashes = (hashes, &addresses.hashes[..]);
    let of_texts = (texts, &addresses.texts[..]);
    vec![
        contender("sluice", Sluice::<CodeUnits>::new, plan, mix, of_units),
        contender("sluice, without handles", WithoutHandles::new, plan, mix, of_units),
        contender("sluice, hash given", Sluice::<Hashed>::new, plan, mix, of_hashes),
        contender("sluice, its clock", Sluice::<CodeUnits, true>::new, plan, mix, of_units),
        contender("RwLock<HashMap>", InRwLock::new, plan, mix, of_texts),
        contender("Mutex<HashMap>", InMutex::new, plan, mix, of_texts),
        contender("DashMap", InDashMap::new, plan, mix, of_texts),
        contender("papaya", InPapaya::new, plan, mix, of_texts),
        contender("governor", Governor::<String, SipHash, Standing>::new, plan, mix, of_texts),
        contender("governor, rapidhash", Governor::<String, RapidHash, Standing>::new, plan, mix, of_texts),
        contender("governor, its clock", Governor::<String, SipHash, Running>::new, plan, mix, of_texts),
    ]
}

fn contender<'a, L: Limiter + 'a>(
    name: &'static str,
    make: impl Fn(Limit, usize) -> L + 'a,
    plan: &'a Plan,
    mix: &'a Mix,
    (load, clients): (&'a Load<L::Key>, &'a [L::Key]),
) -> Contender<'a> {
    let room = room(clients.len());
    let run: Box<dyn Fn(usize) -> Measured> = match mix.calls {
        Calls::New => Box::new(move |threads| go_through(&make(mix.limit, room), load, threads)),
        Calls::Known => {
            let limiter = make(mix.limit, room);
            limiter.fill(clients.iter().copied(), mix.used_up);
            Box::new(move |threads| go_round(&limiter, load, 0, threads, plan.slice))
        }
    };
    Contender { name, locks: L::LOCKS, run }
}
