//! Bugs that the models must find.
//!
//! In a build with the feature `planted`, the environment variable `SLUICE_PLANTED=NoBarrierAfterClaim` plants that bug
//! for the whole process. In every other build `planted!` is the constant `false`.
//!
//! To add one: a line in `bugs!`, `planted!` at its place in the engine, `npm run test:planted -- NameOfTheBug`.

/// Whether this bug is planted: `if !planted!(NoBarrierAfterClaim) { full_barrier(); }`.
macro_rules! planted {
    ($bug:ident) => {
        cfg!(sluice_planted) && $crate::runtime::planted::is_planted($crate::runtime::planted::Bug::$bug)
    };
}
pub(crate) use planted;

macro_rules! bugs {
    ($(#[doc = $description:literal] $bug:ident => $model:ident,)+) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy)]
        #[deny(dead_code, reason = "each bug has a place in the engine")]
        pub(crate) enum Bug {
            $(#[doc = $description] $bug,)+
        }

        /// Of each bug, in order: its name, the model that must find it, and what it is.
        #[cfg(sluice_planted)]
        const TABLE: &[(&str, &str, &str)] =
            &[$((stringify!($bug), stringify!($model), $description.trim_ascii()),)+];
    };
}

bugs! {
    /// A claim is not checked against the key's other slots.
    ClaimNotChecked => an_insert_next_to_a_reset_takes_one_slot,
    /// There is no full barrier between a claim and the check of the other slots.
    NoBarrierAfterClaim => an_insert_next_to_a_reset_takes_one_slot,
    /// A cancelled claim becomes an expired value, not a free slot.
    CancelLeavesValue => an_insert_next_to_a_reset_takes_one_slot,
    /// A claim is not checked against the slots before it, such as those of the key's home.
    OverflowIgnoresHome => a_key_whose_home_becomes_free_has_one_slot,
    /// A look for a key ends at its home, though the key may be in another line.
    LookEndsAtHome => a_key_whose_home_becomes_free_has_one_slot,
    /// A claim in a crowded table is not checked against the slots of the near part.
    ClaimIgnoresNear => a_key_inserted_while_the_table_becomes_crowded_has_one_slot,
    /// A look for a key ends at its line of the near part where a tag there matches, also one that a key has left.
    LookEndsAtNear => a_key_that_returns_to_a_crowded_table_is_found_at_home,
    /// An insert that another thread came before does not look for the key again.
    NeverLooksAgain => a_key_inserted_by_two_threads_has_one_slot,
    /// A claim whose thread has stopped is not finished by others.
    ClaimNotFinished => the_claim_of_a_stopped_thread_is_finished_or_taken_over,
    /// A state is compared and then stored, not exchanged.
    StateStored => a_charge_and_a_penalty_both_count,
    /// A claim does not raise the version of its slot.
    VersionNotRaised => a_key_is_not_refused_for_the_charges_of_another,
    /// A client is judged without reading the tag again after the state.
    ReadIgnoresTag => a_key_is_not_refused_for_the_charges_of_another,
    /// A charge does not read the tag again after its exchange.
    ChargeIgnoresTag => a_key_is_not_charged_for_another_with_an_equal_state,
    /// A new key does not count from the watermark.
    InsertIgnoresWatermark => a_key_that_was_evicted_as_expired_counts_from_the_watermark,
    /// A key that another thread inserted does not count from the watermark.
    HelpedInsertIgnoresWatermark => a_key_inserted_by_another_thread_counts_from_the_watermark,
    /// A key that has just expired is evicted while another vacancy exists.
    SparedTakenFirst => a_key_that_has_just_expired_is_spared,
    /// A key that has just expired is evicted without raising the watermark.
    SparedLeavesWatermark => a_key_that_was_evicted_as_expired_counts_from_the_watermark,
    /// A new key evicts itself when another thread has just inserted it.
    InsertEvictsItself => a_new_key_does_not_evict_itself,
    /// A reset does not give the place back when its slot is claimed at once.
    ResetKeepsPlace => a_reset_of_a_slot_that_is_claimed_at_once_is_counted,
    /// A charge clears the mark of a block.
    ChargeClearsBlock => a_block_next_to_a_charge_stands,
    /// The end of a block is written without reading the tag.
    BlockIgnoresTag => a_block_does_not_apply_to_the_next_key_of_the_slot,
    /// An eviction does not look for a new block once it has cleared the mark of the ended one.
    EvictionIgnoresBlock => a_key_that_is_blocked_again_is_not_evicted,
    /// A new block does not look for the mark again once its end is written.
    BlockIgnoresMark => a_key_that_is_blocked_again_is_not_evicted,
    /// A record is used without checking that the slot still names it.
    RecordNotChecked => a_reader_sees_the_words_of_one_charge,
    /// The head of a stack of free records has no count.
    HeadNotCounted => a_record_has_one_holder,
    /// A record is taken that a living process holds.
    HolderNotLookedAt => two_that_need_a_record_of_the_dead_take_two,
    /// A record of a dead process is taken though a slot names it.
    SlotsNotLookedAt => two_that_need_a_record_of_the_dead_take_two,
    /// Records that dead processes held are never taken.
    RecordsOfTheDeadStay => every_record_of_the_dead_can_be_taken,
    /// A name is taken out of its slot while the process that published it still holds the record.
    RecordNotDisowned => every_record_of_the_dead_can_be_taken,
    /// A process gives its row back while a call of it is inside.
    DepartedDuringCalls => a_row_is_given_back_once_no_call_is_inside,
    /// A second process that leaves the counter says anew by how much the time is ahead.
    ClockLeftTwice => processes_that_leave_the_counter_at_once_agree_in_the_time,
    /// A process whose lock is free is not said to be dead.
    DeathNotNoticed => every_record_of_the_dead_can_be_taken,
    /// A record is given back without checking in which use it is.
    GivenBackInLaterUse => a_record_that_is_given_back_late_is_not_freed_in_its_next_use,
    /// A record of the pool does not say for which slot it was taken.
    SlotNotNoted => a_record_of_the_pool_is_found_in_the_slot_that_it_was_taken_for,
    /// A charge that is undone frees the record that is still in use.
    UndoLeaks => a_charge_that_is_undone_frees_its_own_record,
    /// A charge does not read the config epoch again.
    EpochNotReadAgain => a_charge_next_to_a_reconfiguration_is_adapted,
    /// The words of a key are those of a time to come before it is held.
    ExchangedBeforeHeld => nothing_is_charged_before_the_last_moment_of_a_line,
    /// A block does not look for a line again once it is written.
    BlockIgnoresLine => a_block_next_to_the_first_call_of_a_line_moves_it,
    /// What a key has used is changed behind its line.
    HeldWordsChanged => a_refund_next_to_the_first_call_of_a_line_is_before_it,
    /// Other options cut the words behind a line.
    HeldWordsAdopted => a_line_next_to_a_reconfiguration_is_laid_anew,
    /// The quick path writes over the claim that came between its look and its exchange.
    QuickOverwritesClaim => a_claim_between_look_and_exchange_stands,
    /// The quick path takes a key that was blocked.
    QuickIgnoresBlock => a_block_between_look_and_exchange_stands,
    /// The quick path does not read the config epoch again.
    QuickEpochNotReadAgain => a_reconfiguration_between_look_and_exchange_is_adopted,
    /// The quick path does not read the tag again after its exchange.
    QuickChargeIgnoresTag => a_reset_between_look_and_exchange_stands,
    /// The quick path judges a client without reading the tag again after the state.
    QuickReadIgnoresTag => an_eviction_between_look_and_decision_is_noticed,
    /// The quick path takes a key that was inserted but not charged yet.
    QuickChargesNewKey => a_key_that_is_not_charged_yet_counts_from_the_watermark,
    /// Places of an inbox are reserved by a load and a store.
    ReservedByStore => never_reserves_more_than_the_bound,
    /// A peer that leaves still accepts messages.
    LeavingNotChecked => a_peer_that_leaves_idle_has_reserved_nothing,
    /// A retired value is dropped while the call of a handle is inside.
    EntrancesNotChecked => a_value_is_not_dropped_during_a_call,
    /// There is no barrier between the entrance of a call and its check for retirement.
    NoBarrierAfterEntrance => a_value_is_not_dropped_during_a_call,
    /// The last call that leaves a retired value does not drop it.
    LastCallDropsNothing => the_last_call_drops_a_retired_value,
    /// A retired value is dropped while a call without a handle is inside.
    GuestsNotChecked => a_value_is_not_dropped_during_a_call_without_a_handle,
    /// The flag that says whether there are ranges is written outside of the lock of changes.
    RangesFlagOutsideLock => the_flag_of_ranges_follows_the_last_of_two_changes,
    /// That flag is raised after the ranges are stored.
    RangesFlagRaisedLate => ranges_that_were_seen_are_not_missed_afterwards,
    /// A line of bans is not read again after its slots.
    BanLineNotReadAgain => a_line_in_change_shows_no_ban_of_another,
    /// A ban that has no slot of its line is not counted there.
    BanElsewhereNotCounted => a_ban_without_a_slot_is_not_missed,
    /// Bans are read before they are watched, so that one that is made in between is not known.
    WatchedAfterRead => a_ban_next_to_the_first_subscription_ends_by_one_event,
    /// The last subscription ends without its turn among those that begin.
    LastEndTakesNoTurn => a_subscription_next_to_the_end_of_the_last_one_hears_of_bans,
    /// The end of a ban is reported after the lock was given up under which it was found.
    EndReportedLate => a_ban_next_to_the_end_of_another_is_heard_after_it,
    /// A change of the key between the reads of one state counts as an attempt to insert it.
    ContentionIsAnAttempt => two_calls_of_several_limits_are_charged_in_the_slot_of_their_key,
    /// The longest window of a hit counter is read before the word.
    LongestWindowReadEarly => a_window_longer_than_any_before_is_not_taken_for_an_old_one,
    /// A hit is not decided again when another thread's change came between.
    HitDecidedOnce => concurrent_hits_all_count_and_one_begins_the_window,
    /// Taking back is not decided again when another thread's change came between.
    TakeBackDecidedOnce => hits_taken_back_next_to_a_hit_add_up,
    /// A repair does not look for blocks whose mark a killed process took.
    BlockNotRepaired => a_block_that_a_killed_eviction_hid_is_repaired,
    /// The epoch is not read again after the cell of a config.
    CellNotReadAgain => a_config_of_another_process_is_read_whole,
    /// A process writes the cell whose config is in force.
    CellInForceWritten => a_config_of_another_process_is_read_whole,
    /// A process looks at what is open before it raises its own count.
    LookedBeforeRaised => one_of_two_processes_gets_the_last_place,
    /// There is no full barrier between the count that was raised and the look at those of others.
    NoBarrierAfterRaise => one_of_two_processes_gets_the_last_place,
    /// Of two processes at the last place, both give up.
    LowestRowGivesWay => one_of_two_processes_gets_the_last_place,
    /// What a dead process held counts.
    DeadRowCounted => a_process_that_died_holds_nothing,
    /// What the owner of a row holds is what an earlier owner held.
    EpochNotCompared => the_next_owner_of_a_row_holds_nothing_of_the_one_before,
    /// A process that was taken for dead changes what the next owner of its row holds.
    HeldOfLaterOwnerChanged => a_process_taken_for_dead_changes_nothing_of_the_next,
    /// A failure that another call came before is not decided again.
    FailureDecidedOnce => one_crossing_is_one_ban_of_all_processes,
    /// A client that is banned may be evicted.
    BannedEvicted => a_client_that_is_banned_beside_an_eviction_stays,
    /// The lists in force are compared and then stored, not exchanged.
    ListsStored => two_changes_of_lists_are_both_in_force,
    /// Lists that were read are taken for those that came since.
    ListsTakenForLater => lists_that_are_replaced_while_they_are_read_are_read_again,
    /// The text of a deleted key is dropped after its slot was freed.
    TextDroppedLate => a_key_that_is_hit_next_to_its_delete_has_its_text,
    /// The end of a thread returns what its calls held, but not what was handed to them.
    HandedLostAtEnd => a_permit_handed_to_a_thread_that_ends_is_passed_on,
    /// Permits that a call has taken are taken back, without checking that they are still handed over.
    TakenStaysHanded => a_permit_that_is_taken_is_not_taken_back,
    /// A release does not check whether its permits were reset.
    ReleaseIgnoresReset => a_permit_of_before_a_reset_returns_nothing,
}

#[cfg(not(sluice_planted))]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}

/// Reads the environment once. Uses no atomic of a model checker, so it is no step of a model.
#[cfg(sluice_planted)]
pub(crate) fn is_planted(bug: Bug) -> bool {
    use std::sync::LazyLock;

    static PLANTED: LazyLock<Option<usize>> = LazyLock::new(|| {
        let wanted = std::env::var("SLUICE_PLANTED").ok()?;
        let place = TABLE.iter().position(|(name, ..)| *name == wanted);
        Some(place.unwrap_or_else(|| panic!("SLUICE_PLANTED is {wanted}, which names no bug")))
    });
    *PLANTED == Some(bug as usize)
}

#[cfg(all(test, sluice_planted))]
mod tests {
    /// What `npm run test:planted` plants.
    #[test]
    #[ignore = "a list, not a test"]
    #[expect(clippy::print_stdout, reason = "a list")]
    fn list() {
        for (bug, model, description) in super::TABLE {
            println!("planted\t{bug}\t{model}\t{description}");
        }
    }
}
