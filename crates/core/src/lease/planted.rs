//! Mistakes that the simulation must find. In every build but that of tests, `mistaken!` is the constant `false`.

/// A rule of leases that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests make mistakes"))]
pub(crate) enum Mistake {
    /// Time runs from when the answer came.
    TimedFromAnswer,
    /// Leases are not cut for clocks that drift.
    NotCut,
    /// Units keep until the end of their lease, and do not lapse one by one.
    DoesNotLapse,
    /// A grant is added to what is held, at its own end.
    AddedAtItsEnd,
    /// A server takes units back whatever it has granted since.
    ReturnedUnchecked,
    /// Callers that were admitted by the server leave their units in the lease.
    AdmittedTwice,
    /// Of several limits, the first one's units suffice.
    TakenOfTheFirst,
    /// What is held of one of several limits alone is asked for again.
    NothingSpared,
}

/// Whether this mistake is made.
macro_rules! mistaken {
    ($mistake:ident) => {
        cfg!(test) && $crate::lease::planted::is_planted($crate::lease::planted::Mistake::$mistake)
    };
}
pub(in crate::lease) use mistaken;

#[cfg(not(test))]
pub(crate) const fn is_planted(_: Mistake) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mistake>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(crate) fn is_planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}

/// Plants a mistake in this thread, or none.
#[cfg(test)]
pub(crate) fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}
