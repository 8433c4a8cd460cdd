//! What processes of the fleet have for options, where they differ.

use napi_derive::napi;
use sluice_core::deliveries::Item;
use sluice_fleet::Difference;

use crate::runtime::presence;

/// Options of another process that differ from those of this one.
#[napi(object)]
pub struct NativeDifference {
    pub kind: String,
    pub name: String,
    pub own: String,
    pub other: String,
}

/// Has all threads notified of differences.
pub(crate) fn listen() {
    sluice_fleet::on_difference(|| presence::notify_all(&Item::DifferencesFound));
}

/// The differences found since the last call, by any thread.
#[napi]
pub fn take_fleet_differences() -> Vec<NativeDifference> {
    let native =
        |Difference { kind, name, own, other }| NativeDifference { kind: kind.to_owned(), name, own, other };
    sluice_fleet::take_differences().into_iter().map(native).collect()
}
