//! Loading a program in a process that gets signals.

use aya::programs::ProgramError;

use super::refusal::os_error;

/// Calls `load` until it is not interrupted, at most `LOAD_TRIES` times.
///
/// The verifier gives up with EAGAIN when a signal is pending for the thread; libbpf tries five times for that reason.
pub(crate) fn uninterrupted(mut load: impl FnMut() -> Result<(), ProgramError>) -> Result<(), ProgramError> {
    for _ in 1..LOAD_TRIES {
        match load() {
            Err(error) if os_error(&error) == Some(libc::EAGAIN) => std::thread::yield_now(),
            result => return result,
        }
    }
    load()
}

const LOAD_TRIES: usize = 20;

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failed(code: i32) -> Result<(), ProgramError> {
        Err(ProgramError::IOError(io::Error::from_raw_os_error(code)))
    }

    #[test]
    fn interrupted_load_is_tried_again() {
        let mut tries = 0;
        let load = || {
            tries += 1;
            if tries < 5 { failed(libc::EAGAIN) } else { Ok(()) }
        };
        assert!(uninterrupted(load).is_ok());
        assert_eq!(tries, 5);
    }

    #[test]
    fn what_fails_for_good_is_not_tried_again_and_patience_ends() {
        for (code, expected) in [(libc::EPERM, 1), (libc::EAGAIN, LOAD_TRIES)] {
            let mut tries = 0;
            let load = || {
                tries += 1;
                failed(code)
            };
            assert_eq!(os_error(&uninterrupted(load).expect_err("it fails")), Some(code));
            assert_eq!(tries, expected);
        }
    }
}
