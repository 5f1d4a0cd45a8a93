//! Statements: the door, and what a quorum that says the same decides.
#![no_main]

use std::sync::LazyLock;

use agreement::statement::{check, decide, settled};
use certificate::codec::{Decode, Encode};
use certificate::{Class, Cluster, Leaf, Member, OperationKind, ReplicaId, SeedKey};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let members = (0..4u8).map(|id| {
        let seed = SeedKey::new([id + 1; 32]);
        Member {
            id: ReplicaId(id),
            name: format!("replica-{id}"),
            address: format!("192.0.2.{}:5380", id + 1).parse().expect("an address"),
            public_key: seed.signing_key().public_key(),
            transport_key: seed.transport_key().public_key(),
            upstream_group: format!("isp-{id}"),
            group: 0,
        }
    });
    Cluster::new("fuzz", 1, members.collect()).expect("a cluster")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(statement) = check(&CLUSTER, ReplicaId(0), bytes) else { return };
    assert_eq!(statement.to_bytes(), bytes);
    assert_eq!(statement.clone().within(&CLUSTER), statement);
    let said: Vec<_> = (0..3).map(|id| (ReplicaId(id), 1000, statement.clone())).collect();
    for kind in [OperationKind::Validate, OperationKind::UpdateInputs] {
        let leaf = decide(&CLUSTER, kind, b"subject", &said);
        let class = if statement.verdict().is_some() { Class::Strong } else { Class::Failure };
        assert_eq!((leaf.class, leaf.verdict.as_slice()), (class, statement.verdict().unwrap_or_default()));
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes()), Ok(leaf));
        assert!(settled(&CLUSTER, kind, &said));
    }
});
