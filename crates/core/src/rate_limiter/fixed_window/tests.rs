use super::*;

fn window(limit: u64, window_ms: u64) -> FixedWindow {
    FixedWindow::new("limit", limit, window_ms * MS, None).expect("valid")
}

#[test]
fn starts_with_the_first_call_and_ends_to_the_millisecond() {
    let minute = window(2, 60_000);
    let start = 1_800_000_000_123 * MS;
    let one = minute.decide(0, start, 1).expect("first");
    let two = minute.decide(one, start + 59_000 * MS, 1).expect("second");
    assert_eq!(minute.decide(two, start + 59_999 * MS, 1), Err(MS));
    assert_eq!(minute.remaining(two, start + 60_000 * MS), 2);
    let next = minute.decide(two, start + 60_000 * MS, 2).expect("a new window");
    assert_eq!(minute.decide(next, start + 119_999 * MS, 1), Err(MS));
}

#[test]
fn is_never_reported_as_longer_than_it_is() {
    let minute = window(2, 60_000);
    for nanos in [0, 1, FINEST_UNIT - 1, FINEST_UNIT + 1, MS - 1] {
        let start = 1_800_000_000_123 * MS + nanos;
        let one = minute.decide(0, start, 2).expect("first");
        assert_eq!(minute.reset_after(one, start), 60_000 * MS);
        assert_eq!(minute.decide(one, start, 1), Err(60_000 * MS));
        assert!(minute.decide(one, start + 60_000 * MS - 1, 1).is_err(), "nor is it shorter");
    }
}

#[test]
fn a_late_thread_does_not_restart_the_window() {
    let short = window(1, 10);
    let one = short.decide(0, 5_000 * MS, 1).expect("first");
    // It read its clock a hundred windows before.
    assert_eq!(short.decide(one, 4_000 * MS, 1), Err(1_010 * MS));
}

#[test]
fn an_old_word_equals_none() {
    let minute = window(1, 60_000);
    let one = minute.decide(0, 77 * MS, 1).expect("first");
    for later in [60_077, 3_600_000, 30 * 86_400_000, 365 * 86_400_000] {
        assert_eq!(minute.reset_after(one, later * MS), 0);
    }
}

#[test]
fn a_key_that_returns_after_a_long_time_finds_no_old_window() {
    let day = 86_400_000;
    let daily = window(5_000_000, day);
    let spent = daily.decide(0, 0, 5_000_000).expect("first");
    for days in 1..390 {
        assert_eq!(daily.remaining(spent, days * day * MS), 5_000_000, "after {days} days");
    }
}

#[test]
fn returning_every_unit_ends_the_window() {
    let minute = window(3, 60_000);
    let two = minute.decide(0, 0, 2).expect("first");
    assert_eq!(minute.refund(two, 10 * MS, 2), 0);
    assert_eq!(minute.remaining(minute.refund(two, 10 * MS, 1), 10 * MS), 2);
    assert_eq!(minute.refund(0, 0, 1), 0);
}

#[test]
fn adopts_no_window_longer_than_its_own() {
    let hour = window(5, 3_600_000);
    let used = hour.decide(0, 0, 5).expect("first");
    let minute = FixedWindow::new("limit", 5, 60_000 * MS, Some(&hour)).expect("valid");
    let adopted = minute.adopt(used, 1_000 * MS);
    assert_eq!(minute.decide(adopted, 1_000 * MS, 1), Err(60_000 * MS));
    assert_eq!(minute.adopt(adopted, 2_000 * MS), adopted);
}

#[test]
fn accepts_limits_of_up_to_32_bits() {
    let month = 30 * 86_400_000 * MS;
    assert!(FixedWindow::new("limit", (1 << 32) - 1, month, None).is_ok());
    let error = FixedWindow::new("limit", 1 << 32, month, None).expect_err("too wide");
    assert!(error.to_string().contains("limit is 4294967296; accepted: at most 4294967295"), "{error}");
    assert!(FixedWindow::new("limit", 1, 10 * MS, None).is_ok());
    let century = 36_525 * 86_400_000 * MS;
    assert!(FixedWindow::new("limit", (1 << 32) - 1, century, None).is_ok());
    assert!(FixedWindow::new("limit", 1, 9 * MS, None).is_err());
    let created = window(100, 1_000);
    assert!(FixedWindow::new("limit", 1 << 21, 1_000 * MS, Some(&created)).is_err(), "the cell is narrower");
}

/// An end that is a thousand windows ahead is still read, and cut.
#[test]
fn adopts_what_a_much_longer_window_has_left() {
    let month = window(5, 30 * 86_400_000);
    let used = month.decide(0, 0, 5).expect("first");
    let second = FixedWindow::new("limit", 5, 1_000 * MS, Some(&month)).expect("valid");
    let adopted = second.adopt(used, 400 * MS);
    assert_eq!(second.decide(adopted, 400 * MS, 1), Err(1_000 * MS));
    assert_eq!(second.remaining(adopted, 1_400 * MS), 5);
    // Before the cut, the call is refused: the count is not lost.
    assert!(second.decide(used, 400 * MS, 1).is_err());
}

#[test]
fn rejects_a_window_that_the_word_cannot_hold() {
    let wide = window(1 << 31, 1_000);
    let hour = FixedWindow::new("limit", 1, 3_600_000 * MS, Some(&wide)).expect("fits");
    assert_eq!(hour.decide(hour.decide(0, 0, 1).expect("first"), 0, 1), Err(3_600_000 * MS));
    let error = FixedWindow::new("limit", 1, 86_400_000 * MS, Some(&wide)).expect_err("too long");
    assert!(error.to_string().contains("window is 86400000 ms; accepted: a window of at most"), "{error}");
    let coarse = window((1 << 32) - 1, 30 * 86_400_000);
    assert!(FixedWindow::new("limit", 1, 60_000 * MS, Some(&coarse)).is_err(), "500 units are too few");
    assert!(FixedWindow::new("limit", 1, 600_000 * MS, Some(&coarse)).is_ok());
}
