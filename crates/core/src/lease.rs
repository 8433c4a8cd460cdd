//! Units of a quota that a server keeps, held by this process: calls are decided without asking.
//!
//! By GCRA, what a client owes is a row of slots, each one emission interval long: a grant of `g` units at a debt `d` is the
//! slots from `now + d` to `now + d + g * T`. A unit may be spent until its slot begins. The slots of all processes are
//! disjoint, so whatever each of them does, those spent in any time `w` are at most `burst + w / T`: the bound of the limit
//! itself. Units that are not spent lapse one by one, just as the server counts them as refilled. By windows, all units of a
//! window lapse at its end.
//!
//! | rule | why |
//! |---|---|
//! | a lease is timed from when it was asked for, and is shorter by 1/1024 | the server decided later, and clocks drift |
//! | calls that were pending when the server was asked are admitted by it | their units cannot lapse on the way |
//! | a grant is moved next to what is held, towards the present | others may own the slots between |
//! | units go back only while no other process was granted any since, and no more than were granted in one row | the row ends with them |
//! | of several limits each has its own units, row and end; a call takes units of all of them or of none | so the rules above hold for each limit by itself |
//! | a late answer is a lease like any other, timed from when it was asked for | it was charged |

mod book;
mod cell;
mod demand;
mod grant;
mod holding;
mod local;
#[cfg_attr(
    all(test, any(sluice_loom, sluice_shuttle)),
    expect(dead_code, reason = "only the simulation plants mistakes")
)]
mod planted;
mod returned;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod simulation;
mod table;

pub use book::Leases;
pub use cell::{Held, Taken};
pub use grant::{Grant, GrantId, GrantShare, TakenBack};
pub use local::LocalLease;
pub use returned::Returned;
pub use table::HeldEach;
