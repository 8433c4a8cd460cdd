//! Calls that a fleet gets, and what it may admit of them. Times are nanoseconds of true time.

use super::server::{Algorithm, Limit, MS, S, Servers, US};

/// Calls of each process over so many seconds: steady, in bursts, and all at once now and then.
pub(super) struct Load {
    pub(super) rates: Vec<f64>,
    pub(super) seconds: u64,
    pub(super) is_bursty: bool,
    pub(super) has_crowds: bool,
}

impl Load {
    /// When which process is called, in order.
    pub(super) fn calls(&self, limit: &Limit, random: &mut fastrand::Rng) -> Vec<(u64, usize)> {
        let end = self.seconds * S;
        let mut calls = Vec::new();
        for (node, rate) in self.rates.iter().enumerate() {
            let (mut time, mut is_on, mut until) = (0.0, true, random.f64() * 1e9);
            loop {
                let factor = if !self.is_bursty {
                    1.0
                } else if is_on {
                    2.0
                } else {
                    0.02
                };
                time += -(1.0 - random.f64()).ln() / (rate * factor) * 1e9;
                if time >= end as f64 {
                    break;
                }
                if time > until {
                    (is_on, until) = (!is_on, time + random.f64() * 2e9);
                }
                calls.push((time as u64, node));
            }
        }
        if self.has_crowds {
            self.add_crowds(limit, random, &mut calls);
        }
        calls.retain(|(time, _)| *time < end);
        calls.sort_unstable();
        calls
    }

    /// Every process is called a little, and then by all at once.
    fn add_crowds(&self, limit: &Limit, random: &mut fastrand::Rng, calls: &mut Vec<(u64, usize)>) {
        let mut time = 0;
        while time < self.seconds * S {
            time += random.u64(..4 * limit.window.min(10 * S));
            for node in 0..self.rates.len() {
                for n in 0..random.u64(..20) {
                    calls.push((time + n * random.u64(1..limit.window / 100), node));
                }
                let at = time + 20 * (limit.window / 100) + random.u64(..2 * MS);
                let crowd = random.u64(..2 * limit.limit + 2).min(200);
                calls.extend((0..crowd).map(|_| (at + random.u64(..3 * MS), node)));
            }
        }
    }
}

/// Units by which admissions exceed the limit at the worst moment. `windows` are those of the server, where they are fixed.
pub(super) fn excess(limit: &Limit, admitted: &mut [u64], windows: &[(u64, u64)]) -> f64 {
    admitted.sort_unstable();
    match limit.algorithm {
        Algorithm::Gcra => excess_of_gcra(limit, admitted),
        Algorithm::Fixed => excess_of_fixed(limit, admitted, windows),
        Algorithm::Sliding => excess_of_sliding(limit, admitted),
    }
}

fn excess_of_gcra(limit: &Limit, admitted: &[u64]) -> f64 {
    let (mut full_at, mut worst) = (0, 0.0_f64);
    for &time in admitted {
        full_at = time.max(full_at) + limit.interval();
        let over = full_at.saturating_sub(time + limit.capacity() + US);
        worst = worst.max(over as f64 / limit.interval() as f64);
    }
    worst
}

/// An admission outside of every window counts too.
fn excess_of_fixed(limit: &Limit, admitted: &[u64], windows: &[(u64, u64)]) -> f64 {
    let (mut of_window, mut outside) = (vec![0_u64; windows.len()], 0_u64);
    for &time in admitted {
        match windows.partition_point(|(from, _)| *from <= time).checked_sub(1) {
            Some(window) if time < windows[window].1 => of_window[window] += 1,
            _ => outside += 1,
        }
    }
    let worst = of_window.into_iter().max().unwrap_or_default().saturating_sub(limit.limit);
    worst.max(outside) as f64
}

fn excess_of_sliding(limit: &Limit, admitted: &[u64]) -> f64 {
    let (mut index, mut previous, mut current, mut worst) = (0, 0_u64, 0_u64, 0.0_f64);
    for &time in admitted {
        let window = time / limit.window;
        if window != index {
            previous = if window == index + 1 { current } else { 0 };
            (current, index) = (0, window);
        }
        current += 1;
        let weight = 1.0 - (time % limit.window) as f64 / limit.window as f64;
        worst = worst.max(previous as f64 * weight + current as f64 - limit.limit as f64);
    }
    if worst < 1e-6 { 0.0 } else { worst }
}

/// What one process with all calls would admit.
pub(super) fn ideal(limits: &[Limit], calls: &[(u64, usize)]) -> u64 {
    let (mut server, none) = (Servers::new(limits), vec![0; limits.len()]);
    calls.iter().map(|(time, _)| server.lease(*time, 1, 0, &none).calls).sum()
}
