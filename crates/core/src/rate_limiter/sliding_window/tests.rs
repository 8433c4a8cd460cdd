use super::*;

const MS: u64 = 1_000_000;

fn window(limit: u64, window_ms: u64) -> SlidingWindow {
    SlidingWindow::new("limit", limit, window_ms * MS, None).expect("valid")
}

/// The published example: 42 in the last minute, 18 in this one, of which a quarter has elapsed.
#[test]
fn weighs_the_previous_window_by_what_is_left_of_this_one() {
    let minute = window(50, 60_000);
    let mut state = minute.decide(0, 59_000 * MS, 42).expect("previous");
    state = minute.decide(state, 75_000 * MS, 18).expect("31.5 + 18 = 49.5");
    assert_eq!(minute.remaining(state, 75_000 * MS), 0);
    let wait = minute.decide(state, 75_000 * MS, 1).expect_err("50.5");
    assert!(minute.decide(state, 75_000 * MS + wait - 1, 1).is_err());
    assert!(minute.decide(state, 75_000 * MS + wait, 1).is_ok());
}

#[test]
fn a_limit_of_one_is_admitted_again() {
    let second = window(1, 1_000);
    let one = second.decide(0, 250 * MS, 1).expect("first");
    let wait = second.decide(one, 250 * MS, 1).expect_err("used");
    assert_eq!(wait, 1_750 * MS, "until the count before has faded completely");
    assert!(second.decide(one, 2_000 * MS, 1).is_ok());
    assert_eq!(second.reset_after(one, 250 * MS), 1_750 * MS);
}

#[test]
fn a_late_thread_finds_the_count_of_the_newer_window() {
    let second = window(2, 1_000);
    let state = second.decide(0, 5_000 * MS, 2).expect("window 5");
    let wait = second.decide(state, 4_999 * MS, 1).expect_err("it read its clock in window 4");
    assert_eq!(wait, MS + 1_500 * MS);
}

#[test]
fn returns_the_latest_use_first() {
    let second = window(10, 1_000);
    let state = second.decide(0, 0, 4).and_then(|state| second.decide(state, 1_000 * MS, 3)).expect("room");
    assert_eq!(second.remaining(state, 1_000 * MS), 3);
    assert_eq!(second.remaining(second.refund(state, 1_000 * MS, 3), 1_000 * MS), 6);
    assert_eq!(second.remaining(second.refund(state, 1_000 * MS, 5), 1_000 * MS), 8);
    assert_eq!(second.refund(state, 1_000 * MS, 10), 0);
}

#[test]
fn returns_units_to_the_window_that_was_charged() {
    let second = window(10, 1_000);
    let state = second.decide(0, 0, 4).and_then(|state| second.decide(state, 1_000 * MS, 3)).expect("room");
    let undone = second.undo(state, 1_000 * MS, 4, 0);
    assert_eq!(second.remaining(undone, 1_000 * MS), 7);
    assert_eq!(second.undo(state, 2_000 * MS, 4, 0), state, "it weighs nothing any more");
}

#[test]
fn accepts_limits_of_up_to_23_bits() {
    assert!(SlidingWindow::new("limit", (1 << 23) - 1, MS, None).is_ok());
    let error = SlidingWindow::new("limit", 1 << 23, MS, None).expect_err("too wide");
    assert!(error.to_string().contains("accepted: at most 8388607"), "{error}");
    assert!(SlidingWindow::new("limit", 1 << 20, MS, Some(20)).is_err(), "the cell is narrower");
}
