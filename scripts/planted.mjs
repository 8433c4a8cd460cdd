/** Bugs that a model must find: where, what stands there, what is put in its place, and the model. */
const TABLE = 'rate_limiter/table.rs';
const CLAIMS = 'rate_limiter/table/claims.rs';
const VACANCY = 'rate_limiter/table/vacancy.rs';
const BLOCK_ENDS = 'rate_limiter/table/block_ends.rs';
const OCCUPANCY = 'broker/occupancy.rs';
const RETIRE = 'retire.rs';

export const MUTATIONS = [
  {
    bug: 'no look at the other slots after the claim',
    file: CLAIMS,
    text: '} else if !self.yields(other, key, is_before) {',
    replacement: '} else if false && !self.yields(other, key, is_before) {',
    model: 'a_reset_next_to_a_newcomer_opens_no_second_slot',
  },
  {
    bug: 'no full barrier between the claim and the look',
    file: CLAIMS,
    text: '        full_barrier();\n        let mut is_before',
    replacement: '        let mut is_before',
    model: 'a_reset_next_to_a_newcomer_opens_no_second_slot',
  },
  {
    bug: 'versions are not raised',
    file: 'rate_limiter/table/word.rs',
    text: 'Self((self.0 + 1) & VERSION_MASK)',
    replacement: 'self',
    model: 'nobody_is_refused_for_what_another_owes',
  },
  {
    bug: 'a refusal does not read the tag again',
    file: TABLE,
    text: '(slot.tag.load(Ordering::Relaxed) == tag).then_some(Client { words, blocked_until })',
    replacement: 'Some(Client { words, blocked_until })',
    model: 'nobody_is_refused_for_what_another_owes',
  },
  {
    bug: 'the tag is not read after the exchange',
    file: TABLE,
    text: 'Ok(()) if slot.tag.load(Ordering::Relaxed) == found.tag => {\n                    self.cell.release',
    replacement: 'Ok(()) if true => {\n                    self.cell.release',
    model: 'nobody_is_charged_for_another_who_owes_the_same',
  },
  {
    bug: 'a cancelled claim becomes an expired value',
    file: CLAIMS,
    text: 'swap_if(claim.state(), State::free(claim.tag.version())).is_ok();',
    replacement: 'swap_if(claim.state(), State::FRESH).is_ok();',
    model: 'a_reset_next_to_a_newcomer_opens_no_second_slot',
  },
  {
    bug: 'newcomers do not count from the watermark',
    file: TABLE,
    text: 'now.max(self.watermark.load(Ordering::Acquire))',
    replacement: 'now',
    model: 'who_was_forgotten_counts_from_then',
  },
  {
    bug: 'who was brought in by a helper does not count from the watermark',
    file: TABLE,
    text: 'if client.words == C::Words::default() { self.newcomers_count_from(now) } else { now }',
    replacement: 'now',
    model: 'who_is_brought_in_by_a_helper_counts_from_the_watermark',
  },
  {
    bug: 'a charge takes the mark of an ended block away',
    file: TABLE,
    text: 'match slot.state.swap_if(found.state, State::value(value, found.state.has_block())) {',
    replacement:
      'let marked = found.state.has_block() && self.block_ends.get(slot, found.tag) > 1_000;\n            match slot.state.swap_if(found.state, State::value(value, marked)) {',
    model: 'a_block_next_to_a_charge_stands',
  },
  {
    bug: 'the end of a block is exchanged without a look at the tag',
    file: BLOCK_ENDS,
    text: 'if slot.tag.load(Ordering::Acquire) != tag {',
    replacement: 'if false {',
    model: 'a_late_block_is_not_anothers',
  },
  {
    bug: 'a slot is taken from who is being blocked anew',
    file: TABLE,
    text: 'let has_ended = self.block_ends.get(slot, tag) <= now;',
    replacement: 'let has_ended = true;',
    model: 'a_client_blocked_anew_is_not_given_away',
  },
  {
    bug: 'who is blocked anew does not look at its mark again',
    file: TABLE,
    text: 'let state = slot.state.load(Ordering::SeqCst);\n        Self::mark',
    replacement: 'let state = found.state;\n        Self::mark',
    model: 'a_client_blocked_anew_is_not_given_away',
  },
  {
    bug: 'a record is read without a look whether the slot still names it',
    file: TABLE,
    text: 'if C::READ_IS_UNSURE && slot.state.load(Ordering::Relaxed) != state {',
    replacement: 'if false {',
    model: 'a_reader_of_several_limits_sees_one_moment',
  },
  {
    bug: 'the heads of stacks are not counted',
    file: 'rate_limiter/records.rs',
    text: 'Self(((self.0 >> 32) + 1) << 32 | top)',
    replacement: 'Self(top)',
    model: 'a_record_has_one_holder',
  },
  {
    bug: 'a charge that is undone keeps its record',
    file: TABLE,
    text: 'let replaced = if undone { value } else { found.state.word() };',
    replacement: 'let replaced = found.state.word() + u64::from(undone) * 0;',
    model: 'a_charge_that_is_undone_leaves_its_record_to_others',
  },
  {
    bug: 'no second look at the options',
    file: 'rate_limiter/limiter.rs',
    text: 'if self.phase.get() != phase {',
    replacement: 'if false {',
    model: 'a_charge_next_to_a_reconfiguration_is_cut',
  },
  {
    bug: 'nobody finishes the claim of a thread that is gone',
    file: CLAIMS,
    text: 'if let Some(claim) = self.standing_claim(key) {',
    replacement: 'if let Some(claim) = self.standing_claim(key).filter(|_| false) {',
    model: 'a_claim_whose_thread_is_gone_is_finished_or_taken',
  },
  {
    bug: 'a newcomer may take its own place',
    file: VACANCY,
    text: 'if looked.is_of(key) {\n                    return None;',
    replacement: 'if false {\n                    return None;',
    model: 'a_newcomer_of_a_full_group_does_not_evict_itself',
  },
  {
    bug: 'a client that was not charged yet passes for a free slot',
    file: VACANCY,
    text: 'Kind::Free(_) => Worth::Free,',
    replacement:
      'Kind::Free(_) => Worth::Free,\n            Kind::Value if state == State::FRESH => Worth::Free,',
    model: 'newcomers_who_help_each_other_take_one_place',
  },
  {
    bug: 'who frees a slot that is claimed at once keeps its place',
    file: TABLE,
    text: 'self.live_evictions.fetch_add(1, Ordering::Relaxed);\n        }\n        self.cell',
    replacement: 'return true;\n        }\n        self.cell',
    model: 'a_reset_next_to_a_newcomer_of_the_slot_loses_no_place',
  },
  {
    bug: 'a place is taken by load and store',
    file: OCCUPANCY,
    text: 'match self.0.compare_exchange_weak(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed) {',
    replacement: 'self.0.store(next.0, Ordering::Release);\n            match Ok::<u64, u64>(word.0) {',
    model: 'never_takes_more_than_the_bound',
  },
  {
    bug: 'who leaves is promised more',
    file: OCCUPANCY,
    text: 'if self.is_leaving() {\n            return Err(Refused::Leaving);',
    replacement: 'if false {\n            return Err(Refused::Leaving);',
    model: 'who_leaves_idle_has_promised_nothing',
  },
  {
    bug: 'a table is freed without a look at the entrances of threads',
    file: RETIRE,
    text: '|| exit.entrances.iter().any(is_inside)',
    replacement: '|| exit.entrances.iter().any(is_inside) && false',
    model: 'a_value_is_not_dropped_under_a_call',
  },
  {
    bug: 'no barrier between the entrance of a call and its look whether the table was freed',
    file: RETIRE,
    text: 'barrier::light();\n        let inside = Inside { retirable: &self.retirable',
    replacement: 'let inside = Inside { retirable: &self.retirable',
    model: 'a_value_is_not_dropped_under_a_call',
  },
  {
    bug: 'a call that leaves frees nothing',
    file: RETIRE,
    text: 'if !self.is_open() {\n            self.drop_if_deserted();',
    replacement: 'if false {\n            self.drop_if_deserted();',
    model: 'a_value_is_dropped_by_the_last_call_that_leaves',
  },
  {
    bug: 'calls without a handle are not counted',
    file: RETIRE,
    text: 'self.guests.load(Ordering::Acquire) > 0',
    replacement: 'false',
    model: 'a_value_is_not_dropped_under_a_call_without_a_handle',
  },
];
