//! Log lists. Whatever is taken is no log whose private key is public, and may follow itself.
#![no_main]

use transparency::log_list::{LogList, check_update, is_denied};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(list) = LogList::parse(bytes) else { return };
    assert!(list.logs().all(|log| !is_denied(&log.key.id())));
    assert_eq!(list.logs().count(), list.identity().logs);
    list.logs().for_each(|log| {
        let _ = (log.origin(), log.operator_at(list.identity().timestamp));
    });
    // Only a lack of operators may speak against a list that follows itself.
    if let Err(problems) = check_update(&list, &list, 0) {
        assert_eq!(problems.len(), 1);
    }
});
