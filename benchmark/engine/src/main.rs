//! The engine compared with other maps and limiters: prints one JSON object per case and line.
//!
//! `benchmark/engine.mjs` builds and runs this program, and turns its output into tables, plots and sentences.

mod clients;
mod contenders;
mod contention;
mod gcra;
mod governors;
mod harness;
mod keys;
mod maps;
mod sluice;
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
    let parts: [(&str, fn(&Plan)); 5] = [
        ("contention", contention::measure),
        ("strings", keys::measure_strings),
        ("integers", keys::measure_integers),
        ("registry", registry::measure),
        ("security", security::measure),
    ];
    parts.iter().filter(|(part, _)| plan.has(part)).for_each(|(_, measure)| measure(&plan));
    ExitCode::SUCCESS
}
