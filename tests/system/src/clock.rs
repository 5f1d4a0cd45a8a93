//! A clock that a test sets, for one process: libfaketime. Monotonic time goes on as it is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::Surroundings;

/// Where Debian has the library for programs with threads, by architecture.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The wall clock of one process.
pub struct WallClock {
    file: PathBuf,
}

impl WallClock {
    /// A clock that is right, kept in a file of `folder`, for processes that start in `surroundings` from now on.
    ///
    /// Panics: when libfaketime is not installed; `tests/run` installs it.
    pub fn in_charge_of(surroundings: &mut Surroundings, folder: &Path) -> WallClock {
        let library = LIBRARIES.iter().find(|path| Path::new(path).is_file());
        let library = library.expect("libfaketime is installed (tests/run does it)");
        let clock = WallClock { file: folder.join("clock") };
        clock.set(0);
        surroundings.environment.extend([
            ("LD_PRELOAD", OsString::from(library)),
            ("FAKETIME_TIMESTAMP_FILE", clock.file.clone().into()),
            ("FAKETIME_CACHE_DURATION", OsString::from("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", OsString::from("1")),
            ("FAKETIME_DONT_RESET", OsString::from("1")),
        ]);
        clock
    }

    /// Sets it so many seconds ahead of the right time, or behind when negative. The process sees it within a second or two.
    ///
    /// Panics: when the file cannot be written.
    pub fn set(&self, seconds: i64) {
        // Replaced as a whole: the process reads it every second.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("the clock can be written");
        fs::rename(&new, &self.file).expect("the clock can be replaced");
    }
}
