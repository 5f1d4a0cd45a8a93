//! The arithmetic of quorums, against the table of the study and against its reasons.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use certificate::replicas::ReplicasError;
use certificate::{ReplicaId, ReplicaSet, Replicas, View};

#[test]
fn numbers_are_those_of_the_table() {
    for (n, f, q, view_change, fast) in [
        (4, 1, 3, 3, 4),
        (5, 1, 4, 4, 5),
        (6, 1, 4, 5, 5),
        (7, 2, 5, 5, 7),
        (10, 3, 7, 7, 10),
        (31, 10, 21, 21, 31),
    ] {
        let replicas = Replicas::new(n, f).unwrap();
        let numbers = (replicas.quorum(), replicas.view_change_quorum(), replicas.fast_quorum());
        assert_eq!(numbers, (q, view_change, fast), "n = {n}, f = {f}");
        assert_eq!(replicas.weak_quorum(), f as usize + 1);
    }
}

#[test]
fn two_quorums_share_an_honest_replica_and_the_honest_make_one() {
    for n in 4..=31 {
        for f in 1..=(n - 1) / 3 {
            let replicas = Replicas::new(n, f).unwrap();
            let (n, f, q) = (n as usize, f as usize, replicas.quorum());
            assert!(2 * q - n > f, "two quorums of n = {n}, f = {f} share {} replicas", 2 * q - n);
            assert!(q <= n - f, "n = {n}, f = {f} without the faulty is no quorum");
            assert!(2 * (q - 1) < n + f + 1, "a smaller quorum would do for n = {n}, f = {f}");
            assert!(replicas.fast_quorum() <= n);
        }
    }
}

#[test]
fn impossible_numbers_are_refused() {
    assert_eq!(Replicas::new(4, 0), Err(ReplicasError::NoFaults));
    assert_eq!(Replicas::new(3, 1), Err(ReplicasError::BelowFour { replicas: 3 }));
    assert_eq!(Replicas::new(6, 2), Err(ReplicasError::TooFew { replicas: 6, faults: 2 }));
    assert_eq!(Replicas::new(32, 10), Err(ReplicasError::TooMany { replicas: 32 }));
    assert_eq!(
        Replicas::new(31, u32::MAX).unwrap_err().to_string(),
        "expected at least 12884901886 replicas to tolerate 4294967295 faulty, found 31 (n >= 3f+1)"
    );
}

#[test]
fn primaries_take_turns() {
    let replicas = Replicas::new(4, 1).unwrap();
    let primaries: Vec<u8> = (0..6).map(|view| replicas.primary(View(view)).0).collect();
    assert_eq!(primaries, [0, 1, 2, 3, 0, 1]);
    assert!(replicas.contains(replicas.primary(View(u64::MAX))));
}

#[test]
fn set_counts_each_replica_once() {
    let mut set = ReplicaSet::EMPTY;
    assert!(set.insert(ReplicaId(3)));
    assert!(!set.insert(ReplicaId(3)));
    assert!(set.insert(ReplicaId(30)));
    assert_eq!((set.len(), set.contains(ReplicaId(3)), set.contains(ReplicaId(4))), (2, true, false));
    assert!(!set.insert(ReplicaId(32)) && !set.contains(ReplicaId(255)));
    assert_eq!(set.iter().collect::<Vec<_>>(), [ReplicaId(3), ReplicaId(30)]);
}
