//! What the engine costs beside other maps and limiters: one JSON object per line and case.
//!
//! `benchmark/engine.mjs` builds this, runs it, and makes tables, plots and sentences of what it prints.

mod clients;
mod contenders;
mod contention;
mod gcra;
mod governors;
mod harness;
mod integers;
mod maps;
mod ours;
mod registry;
mod report;
mod rounds;
mod security;
mod waited;

use std::process::ExitCode;

use rounds::Plan;

fn main() -> ExitCode {
    let plan = match Plan::from_arguments(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(message) => {
            eprintln!("sluice-benchmark: {message}");
            return ExitCode::FAILURE;
        }
    };
    report::clock();
    contention::measure(&plan);
    integers::measure(&plan);
    registry::measure(&plan);
    security::measure(&plan);
    ExitCode::SUCCESS
}
