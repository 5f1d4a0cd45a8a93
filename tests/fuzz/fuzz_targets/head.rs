//! Heads of logs as others tell them: news of a replica, and split views, which are evidence for anybody.
#![no_main]

use std::sync::LazyLock;

use ct_watch::gossip::{HEADS_OF_A_MESSAGE_MAX, heads_of};
use ct_watch::logs::SignedHead;
use transparency::Moment;
use transparency::log_list::LogList;
use transparency::split_view::SplitView;

const LIST: &[u8] = include_bytes!("../../../plugins/ct_verify/core/tests/vectors/log_list.json");

static LOGS: LazyLock<LogList> = LazyLock::new(|| LogList::parse(LIST).expect("our own list"));

/// The heads of the vectors are of the past then.
const NOW: Moment = Moment::from_seconds(1_785_600_000);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(heads) = heads_of(bytes) {
        assert!(heads.len() <= HEADS_OF_A_MESSAGE_MAX);
        let read = heads.iter().filter_map(|(id, text)| {
            let log = LOGS.logs().find(|log| Some(log.key.id()) == *id)?;
            Some((log, SignedHead::verify(log, text.as_bytes(), NOW).ok()?))
        });
        let mut last: Option<SignedHead> = None;
        for (log, head) in read {
            // What is handed on says the same to the next one.
            assert_eq!(SignedHead::verify(log, head.text.as_bytes(), NOW).as_ref().ok(), Some(&head));
            if let Some(last) = last.filter(|last| head.contradicts(last)) {
                let _ = head.against(&last, log).verify();
            }
            last = Some(head);
        }
    }
    let Ok(split) = SplitView::parse(bytes) else { return };
    let again = SplitView::parse(split.to_json().as_bytes()).expect("what was written is read");
    assert_eq!(again, split);
    if let Ok(proven) = split.verify() {
        assert_eq!(Some(proven.key.id()), split.claimed_log());
        assert_eq!(again.verify().ok(), Some(proven));
    }
});
