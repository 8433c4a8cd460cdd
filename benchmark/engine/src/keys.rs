//! A limit per client with strings and with integers for keys, in one thread and two: decisions whose cost is nearly all
//! that of the hash and the map.

use std::hash::RandomState as SipHash;

use rapidhash::fast::RandomState as RapidHash;

use crate::clients::{Addresses, Load, at_random};
use crate::contenders::{Limiter, Measured, go_round, room};
use crate::gcra::{Limit, SLOW};
use crate::governors::{Governor, Running, Standing};
use crate::report::{Row, emit};
use crate::rounds::{Plan, Random};
use crate::sluice::{CodeUnits, IntegerByRapidHash, IntegerBySip, Sluice};

const FEW: u32 = 10_000;
const THREADS: [usize; 2] = [1, 2];

/// Addresses: each contender hashes the text with its own default.
pub fn measure_strings(plan: &Plan) {
    let addresses = Addresses::of(FEW);
    let units = Loads::of(&addresses.code_units);
    let texts = Loads::of(&addresses.texts);
    let contenders = [
        contender("sluice", Sluice::<CodeUnits>::new, plan, &units),
        contender("sluice, its clock", Sluice::<CodeUnits, true>::new, plan, &units),
        contender("governor", Governor::<String, SipHash, Standing>::new, plan, &texts),
        contender("governor, rapidhash", Governor::<String, RapidHash, Standing>::new, plan, &texts),
        contender("governor, its clock", Governor::<String, SipHash, Running>::new, plan, &texts),
    ];
    compare("strings", FEW, plan, &contenders);
}

/// Integers, hashed in the same way by each contender or by its default.
pub fn measure_integers(plan: &Plan) {
    integers(plan, FEW);
    integers(plan, u32::try_from(plan.many).expect("fewer clients than four thousand million"));
}

fn integers(plan: &Plan, clients: u32) {
    let numbers: Vec<_> = (0..u64::from(clients)).collect();
    let loads = Loads::of(&numbers);
    let contenders = [
        contender("sluice", Sluice::<IntegerByRapidHash>::new, plan, &loads),
        contender("sluice, SipHash", Sluice::<IntegerBySip>::new, plan, &loads),
        contender("governor", Governor::<u64, SipHash, Standing>::new, plan, &loads),
        contender("governor, rapidhash", Governor::<u64, RapidHash, Standing>::new, plan, &loads),
    ];
    compare("integers", clients, plan, &contenders);
}

/// Loads of known clients: half of them have most of their quota, the others none.
struct Loads<'a, K> {
    clients: &'a [K],
    admitted: Load<K>,
    refused: Load<K>,
}

impl<'a, K: Copy> Loads<'a, K> {
    fn of(clients: &'a [K]) -> Self {
        let count = clients.len() as u32;
        let half = count / 2;
        // As many calls as clients called, so that caches cannot hold a large load.
        let calls = (half as usize).next_power_of_two().max(1 << 15);
        let key = |client: u32| clients[client as usize];
        Self {
            clients,
            admitted: Load::new(&at_random(half, count, calls), half, key),
            refused: Load::new(&at_random(0, half, calls), half, key),
        }
    }

    fn calling(&self, kind: Kind) -> &Load<K> {
        match kind {
            Kind::Admitted => &self.admitted,
            Kind::Refused => &self.refused,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Admitted,
    Refused,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Admitted, Self::Refused];

    const fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
        }
    }
}

/// Runs one slice of a load with a number of threads, from a call on that the random numbers choose.
type Run<'a> = dyn Fn(Kind, usize, &mut Random) -> Measured + 'a;

struct Contender<'a> {
    name: &'static str,
    run: Box<Run<'a>>,
}

fn contender<'a, L: Limiter + 'a>(
    name: &'static str,
    make: fn(Limit, usize) -> L,
    plan: &'a Plan,
    loads: &'a Loads<'_, L::Key>,
) -> Contender<'a> {
    let clients = loads.clients;
    let limiter = make(SLOW, room(clients.len()));
    limiter.fill(clients.iter().copied(), clients.len() as u32 / 2);
    let run = move |kind, threads, random: &mut Random| {
        let load = loads.calling(kind);
        // Starts anywhere, as a slice is too short to wrap around a large load.
        let first = random.below(load.keys().len() as u64) as usize;
        go_round(&limiter, load, first, threads, plan.slice)
    };
    Contender { name, run: Box::new(run) }
}

fn compare(section: &'static str, clients: u32, plan: &Plan, contenders: &[Contender<'_>]) {
    let cases: Vec<_> = contenders
        .iter()
        .flat_map(|one| Kind::ALL.into_iter().flat_map(move |kind| THREADS.map(|threads| (one, kind, threads))))
        .collect();
    let mut random = Random::new();
    let samples = plan.interleaved(cases.len(), |case| {
        let (contender, kind, threads) = cases[case];
        (contender.run)(kind, threads, &mut random)
    });
    for ((contender, kind, threads), samples) in cases.iter().zip(&samples) {
        emit(&Row::new(section, contender.name, *threads, samples).on(kind.name()).of(clients));
    }
}
