//! A browser without a window: what Chromium makes of a page.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A browser with a profile of its own.
pub struct Chromium {
    profile: TempDir,
}

/// What came of a page.
pub struct Page {
    /// The document, after its scripts ran.
    pub document: String,
    /// What the browser wrote to standard error; the page's console as well.
    pub complaints: String,
}

impl Default for Chromium {
    fn default() -> Chromium {
        Chromium { profile: TempDir::new().expect("a temporary folder") }
    }
}

impl Chromium {
    /// The folder of its profile.
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Opens `address`, with `args` beside the usual.
    ///
    /// Panics: when it does not end by itself, or is not installed; `tests/run` installs it.
    pub fn open(&self, address: &str, args: &[String]) -> Page {
        // Ended when it hangs. What it starts would hold pipes open: it writes to a file.
        let (printed, complaints) = (self.profile().join("printed"), self.profile().join("complaints"));
        let ended = Command::new("timeout")
            .args(["--kill-after=5", "90", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu"])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-dev-shm-usage",
                "--dump-dom",
            ])
            .args(["--enable-logging=stderr", "--v=0"])
            .arg(format!("--user-data-dir={}", self.profile().display()))
            .args(args)
            .arg(address)
            .env("HOME", self.profile())
            .stdin(Stdio::null())
            .stdout(fs::File::create(&printed).expect("files can be written"))
            .stderr(fs::File::create(&complaints).expect("files can be written"))
            .status()
            .expect("timeout is part of coreutils");
        let read =
            |path| String::from_utf8_lossy(&fs::read(path).expect("the file was written")).into_owned();
        let (document, complaints) = (read(&printed), read(&complaints));
        assert!(ended.success(), "{ended}: {document}{complaints}");
        Page { document, complaints }
    }
}
