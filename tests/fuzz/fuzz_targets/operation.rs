//! Subjects of operations, and what replicas agree on about them.
#![no_main]

use transparency::operation::{Agreed, Answer, InputSubject, SUBJECT_BYTES_MAX, Seen, ValidateSubject};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(subject) = ValidateSubject::decode(bytes) {
        assert!(bytes.len() <= SUBJECT_BYTES_MAX);
        assert_eq!(subject.encode().as_deref(), Some(bytes));
    }
    if let Ok(subject) = InputSubject::decode(bytes) {
        assert_eq!(subject.encode(), bytes);
    }
    if let Ok(agreed) = Agreed::decode(bytes) {
        assert_eq!(agreed.encode(), bytes);
    }
    if let Ok(seen) = Seen::decode(bytes) {
        assert_eq!(seen.encode(), bytes);
    }
    if let Some(answer) = Answer::decode(bytes) {
        assert_eq!(answer.encode(), bytes);
    }
});
