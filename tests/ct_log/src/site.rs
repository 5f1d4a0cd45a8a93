//! A web site with files that a test puts there: log lists, revocation lists, certificates of issuers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::answer::Answer;
use crate::lie::Lie;
use crate::serve::{Control, Door, Server, locked};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A site on a port of its own; it lies like a log does.
#[derive(Debug)]
pub struct Site {
    files: Files,
    control: Arc<Control>,
    server: Server,
}

impl Site {
    /// Starts an empty site.
    ///
    /// # Panics
    /// When the machine has no free ports.
    pub fn start() -> Self {
        let (files, control) = (Files::default(), Arc::new(Control::new()));
        let served = Arc::clone(&files);
        let answering = move |asked: &crate::answer::Asked, _: &[Lie]| match locked(&served).get(&asked.path)
        {
            Some(bytes) if !asked.post => Answer::bytes("application/octet-stream", bytes.clone()),
            _ => Answer::refusal(404, "no such path"),
        };
        let server = Door::open().serve(&control, Arc::new(answering));
        Site { files, control, server }
    }

    /// Puts a file at a path with a first slash, and returns its URL.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) -> String {
        locked(&self.files).insert(path.to_owned(), bytes.into());
        self.url(path)
    }

    /// The URL of a path with a first slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// Tells a lie at every path, beside those that are told already.
    pub fn lie(&self, lie: Lie) {
        self.control.lie_at("", lie);
    }

    /// What is lied where, and what was asked.
    pub fn control(&self) -> &Control {
        &self.control
    }
}
