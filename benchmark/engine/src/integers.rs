//! Integer keys of few and many clients, in one thread and two: decisions whose cost is nearly all that of the map.

use std::hash::RandomState as SipHash;

use rapidhash::fast::RandomState as RapidHash;

use crate::clients::{Load, at_random};
use crate::contenders::{Limiter, Measured, go_round, room};
use crate::gcra::{Limit, SLOW};
use crate::governors::{Governor, Running, Standing};
use crate::sluice::{IntegerByRapidHash, IntegerBySip, Sluice};
use crate::report::{Row, emit};
use crate::rounds::{Plan, Random};

const FEW: u64 = 10_000;
const THREADS: [usize; 2] = [1, 2];

/// Loads of known clients: half of them have most of their quota, the others none.
struct Loads {
    clients: u32,
    admitted: Load<u64>,
    refused: Load<u64>,
}

impl Loads {
    fn of(clients: u64) -> Self {
        let clients = u32::try_from(clients).expect("fewer clients than four thousand million");
        let half = clients / 2;
        // As many calls as clients called, so that caches cannot hold a large load.
        let calls = (half as usize).next_power_of_two().max(1 << 15);
        Self {
            clients,
            admitted: Load::new(&at_random(half, clients, calls), half, u64::from),
            refused: Load::new(&at_random(0, half, calls), half, u64::from),
        }
    }
}

/// Runs one slice of a load, from a call on, with a number of threads.
type Run<'a> = dyn Fn(&Load<u64>, usize, usize) -> Measured + 'a;

struct Contender<'a> {
    name: &'static str,
    run: Box<Run<'a>>,
}

pub fn measure(plan: &Plan) {
    let few = Loads::of(FEW);
    let contenders = vec![
        contender("sluice", Sluice::<IntegerByRapidHash>::new, plan, &few),
        contender("sluice, SipHash", Sluice::<IntegerBySip>::new, plan, &few),
        contender("sluice, its clock", Sluice::<IntegerByRapidHash, true>::new, plan, &few),
        contender("governor", Governor::<u64, SipHash, Standing>::new, plan, &few),
        contender("governor, rapidhash", Governor::<u64, RapidHash, Standing>::new, plan, &few),
        contender("governor, its clock", Governor::<u64, SipHash, Running>::new, plan, &few),
    ];
    compare(plan, &few, &contenders);
    drop(contenders);
    let many = Loads::of(plan.many);
    let contenders = vec![
        contender("sluice", Sluice::<IntegerByRapidHash>::new, plan, &many),
        contender("governor", Governor::<u64, SipHash, Standing>::new, plan, &many),
        contender("governor, rapidhash", Governor::<u64, RapidHash, Standing>::new, plan, &many),
    ];
    compare(plan, &many, &contenders);
}

fn compare(plan: &Plan, loads: &Loads, contenders: &[Contender<'_>]) {
    let kinds = [("admitted", &loads.admitted), ("refused", &loads.refused)];
    let cases: Vec<_> = contenders
        .iter()
        .flat_map(|one| kinds.iter().flat_map(move |kind| THREADS.map(|threads| (one, kind, threads))))
        .collect();
    let mut random = Random::new();
    let samples = plan.interleaved(cases.len(), |case| {
        let (contender, (_, load), threads) = cases[case];
        // Starts anywhere, as a slice is too short to wrap around a large load.
        (contender.run)(load, random.below(load.keys().len() as u64) as usize, threads)
    });
    for ((contender, (kind, _), threads), samples) in cases.iter().zip(&samples) {
        emit(&Row::new("integers", contender.name, *threads, samples).on(kind).of(loads.clients));
    }
}

fn contender<'a, L: Limiter<Key = u64> + 'a>(
    name: &'static str,
    make: fn(Limit, usize) -> L,
    plan: &'a Plan,
    loads: &Loads,
) -> Contender<'a> {
    let limiter = make(SLOW, room(loads.clients as usize));
    limiter.fill((0..loads.clients).map(u64::from), loads.clients / 2);
    let run = move |load: &Load<u64>, first, threads| go_round(&limiter, load, first, threads, plan.slice);
    Contender { name, run: Box::new(run) }
}
