//! What operations name by its digest: chains, roots, and snapshots of revocation lists with the rules by which one follows another.
#![no_main]

use transparency::Moment;
use transparency::content::{
    crl_set, decode_chain, decode_lists, decode_trust, encode_chain, encode_lists, encode_trust,
};
use transparency::snapshot::{check_successor, issuer, merge};

/// The lists of the vectors are valid then.
const NOW: Moment = Moment::from_seconds(1_785_542_400);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(chain) = decode_chain(bytes) {
        assert_eq!(encode_chain(&chain), bytes);
    }
    if let Ok((roots, intermediates)) = decode_trust(bytes) {
        let once = encode_trust(&roots, &intermediates);
        let (roots, intermediates) = decode_trust(&once).expect("what was written is read");
        assert_eq!(encode_trust(&roots, &intermediates), once);
    }
    let Ok(lists) = decode_lists(bytes) else { return };
    let _ = crl_set(&lists);
    let once = encode_lists(&lists);
    assert_eq!(encode_lists(&decode_lists(&once).expect("what was written is read")), once);
    let _ = lists.iter().map(|list| issuer(list)).count();

    // What is made of own lists and of those in force may take the place of the latter; and what is in it covers nothing twice.
    let (own, in_force) = lists.split_at(lists.len() / 2);
    let merged = merge(own, in_force, NOW);
    for before in [in_force, &merged] {
        assert_eq!(check_successor(before, &merged, NOW), Ok(()));
    }
});
