use super::tests_support::*;
use super::*;

#[test]
fn a_change_is_in_force_for_all_processes() {
    let [first, second] = two();
    assert!(first.banned().is_empty() && second.files.names().is_empty());
    first.ban(FIRST);
    second.ban(SECOND);
    assert_eq!(
        (first.banned(), second.banned()),
        (vec![FIRST.into(), SECOND.into()], vec![FIRST.into(), SECOND.into()])
    );
    first.ban(FIRST);
    assert_eq!(first.files.names().len(), 2, "that of the second process, which it removes itself");
    second.ban(SECOND);
    second.ban(SECOND);
    assert_eq!(first.files.names().len(), 2);
}

#[test]
fn files_of_dead_processes_are_removed() {
    let [living, dead] = two();
    dead.ban(FIRST);
    dead.leave_a_file();
    dead.leave_a_file();
    dead.die(&living);
    assert_eq!(living.banned(), [FIRST], "what it brought into force stays");
    living.ban(SECOND);
    assert_eq!(living.files.names().len(), 1);
    assert_eq!(living.banned(), [FIRST, SECOND]);
}

#[test]
fn lists_that_cannot_be_read_leave_those_before() {
    let [first, second] = two();
    first.ban(FIRST);
    assert_eq!(second.banned(), [FIRST]);
    first.ban(SECOND);
    let name = *first.files.names().last().expect("a file");
    first.files.put(name, b"anything");
    assert_eq!(second.banned(), [FIRST]);
    let refused = second.refused().expect("refused");
    assert!(refused.contains("is corrupt: it is a file of something else"), "{refused}");
    // The next change of a process that has read them mends it.
    first.ban(FIRST);
    assert_eq!((second.banned(), second.refused()), (vec![FIRST.into(), SECOND.into()], None));
}

#[test]
fn lists_are_read_again_once_they_can_be() {
    let [first, second] = two();
    first.ban(FIRST);
    let name = *first.files.names().last().expect("a file");
    let bytes = first.files.take(name);
    assert!(second.banned().is_empty());
    assert!(second.refused().expect("refused").contains("was removed"));
    second.files.put(name, &bytes);
    assert_eq!((second.refused(), second.banned()), (None, vec![FIRST.into()]));

    first.ban(SECOND);
    let name = *first.files.names().last().expect("a file");
    let bytes = first.files.take(name);
    assert_eq!(second.banned(), [FIRST]);
    second.files.put(name, &bytes);
    second.ban(FIRST);
    assert_eq!(second.banned(), [FIRST, SECOND], "a change begins with the lists in force");
}
