//! Every interleaving of processes that change lists and banned ranges.

use loom::thread;

use super::tests_support::*;
use super::*;

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn two_changes_of_lists_are_both_in_force() {
    check(3, || {
        let processes = two();
        let threads = processes.into_iter().zip([FIRST, SECOND]).map(|(process, range)| {
            thread::spawn(move || {
                process.ban(range);
                process
            })
        });
        let threads: Vec<_> = threads.collect();
        let processes: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        for process in &processes {
            assert_eq!(process.banned(), [FIRST, SECOND]);
            assert_eq!(process.refused(), None);
        }
        // The file in force, and perhaps one that its process removes with its next change.
        assert!((1..=2).contains(&processes[0].files.names().len()));
    });
}

#[test]
fn lists_that_are_replaced_while_they_are_read_are_read_again() {
    check(3, || {
        let [writer, reader] = two();
        writer.ban(FIRST);
        let writes = thread::spawn(move || writer.ban(SECOND));
        let reads = thread::spawn(move || {
            let banned = reader.banned();
            assert!(banned == [FIRST] || banned == [FIRST, SECOND], "{banned:?}");
            assert_eq!(reader.refused(), None);
            reader
        });
        writes.join().expect("no panic");
        assert_eq!(reads.join().expect("no panic").banned(), [FIRST, SECOND]);
    });
}
