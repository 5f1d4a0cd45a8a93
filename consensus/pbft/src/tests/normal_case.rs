//! The normal case. Castro & Liskov 1999 §4.2: one test for each claim that applies.

use super::cluster::*;
use crate::*;

#[test]
fn request_is_decided_by_all_replicas_and_reported_with_its_evidence() {
    let mut cluster = Cluster::calm(4, 1);
    cluster.request(2, 7);
    cluster.run_for(100);
    for id in 0..4 {
        assert_eq!(cluster.operations(id), vec![7], "node {id}");
        assert_eq!(cluster.nodes[id].decided[0].signers.len(), 3);
        assert!(cluster.faults(id).is_empty());
    }
}

#[test]
fn agreement_over_seeds_with_loss_partitions_and_restarts() {
    for seed in 0..300u64 {
        let (count, faults) = [(4, 1), (5, 1), (7, 2)][seed as usize % 3];
        let small = seed % 2 == 0;
        let mut cluster = Cluster::new(seed, ROUGH, |id| {
            let parameters = parameters(id, count, faults);
            if small { tiny(parameters) } else { parameters }
        });
        let wanted = if small { 60 } else { 30 };
        for number in 0..wanted {
            let origin = cluster.random.below(u64::from(count)) as usize;
            cluster.request(origin, number);
            let pause = cluster.random.below(30);
            cluster.run_for(pause);
            let victim = cluster.random.below(u64::from(count)) as usize;
            match cluster.random.below(20) {
                0 => {
                    let lost = cluster.random.below(4) as usize;
                    cluster.crash(victim, lost);
                }
                1 => cluster.cut_off(victim),
                2..=5 => cluster.heal(),
                6..=9 => (0..count as usize).for_each(|id| cluster.restart(id)),
                _ => {}
            }
        }
        (0..count as usize).for_each(|id| cluster.restart(id));
        cluster.heal();
        cluster.run_for(20_000);
        let executed: Vec<u64> = (0..count as usize).map(|id| cluster.executed(id)).collect();
        assert!(executed.iter().all(|one| *one == executed[0] && *one > 0), "seed {seed}: {executed:?}");
        cluster.network = CALM;
        cluster.request(1, 1_000_000);
        cluster.run_for(3_000);
        for id in 0..count as usize {
            assert!(cluster.operations(id).contains(&1_000_000), "seed {seed}: node {id} resumes");
        }
    }
}
