//! The test log: what a test holds in its hand.

use std::sync::{Arc, Mutex};

use transparency::Moment;
use transparency::digest::{LogId, Sha256};
use transparency::log_key::LogKey;
use transparency::tree_head::TreeHead;

use crate::clock::Clock;
use crate::entry::{Entry, leaf_index_extension, vector};
use crate::key::PrivateKey;
use crate::lie::Lie;
use crate::list::Listed;
use crate::serve::{Control, Door, Server, locked};
use crate::store::{Store, Tree};
use crate::submission::{Refused, read_chain};
use crate::{rfc6962, static_ct};

/// As what a log stands in a list. Every log answers at both interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A log of RFC 6962: its timestamps have no extensions.
    Rfc6962,
    /// A static-ct log: its timestamps say where the entry stands.
    StaticCt,
}

/// A log with a key of its own and two ports: RFC 6962 at one, static-ct at the other.
///
/// What is handed in is in the tree after [`merge`](TestLog::merge). Servers end when it is dropped.
#[derive(Debug)]
pub struct TestLog {
    core: Arc<Core>,
    face: Arc<Face>,
    ports: Ports,
}

/// The log as others see it who are shown another tree: another entry at one place, all else the same, and properly signed.
///
/// It has ports of its own, grows with the log, and lies for itself.
#[derive(Debug)]
pub struct Fork {
    core: Arc<Core>,
    face: Arc<Face>,
    ports: Ports,
}

#[derive(Debug)]
struct Ports {
    rfc6962: Server,
    static_ct: Server,
}

/// What a log and its forks share.
#[derive(Debug)]
struct Core {
    name: String,
    kind: Kind,
    key: PrivateKey,
    clock: Clock,
    origin: String,
    submission_url: String,
    entries_per_answer: u64,
    store: Mutex<Store>,
}

/// One side of a log: the tree that it shows, and the lies that it tells.
#[derive(Debug)]
pub(crate) struct Face {
    core: Arc<Core>,
    control: Arc<Control>,
    forked_at: Mutex<Option<u64>>,
}

impl TestLog {
    /// Starts a log with a new key on P-256. Its name is what lists call it.
    ///
    /// # Panics
    /// When the machine has no free ports.
    pub fn start(name: &str, kind: Kind, clock: &Clock) -> Self {
        TestLog::with_key(name, kind, PrivateKey::p256(), clock)
    }

    /// Starts a log with this key.
    ///
    /// # Panics
    /// When the machine has no free ports.
    pub fn with_key(name: &str, kind: Kind, key: PrivateKey, clock: &Clock) -> Self {
        let doors = [Door::open(), Door::open()];
        let submission_url = doors[1].url();
        let core = Arc::new(Core {
            name: name.to_owned(),
            kind,
            key,
            clock: clock.clone(),
            origin: doors[1].address.to_string(),
            submission_url,
            entries_per_answer: ENTRIES_PER_ANSWER,
            store: Mutex::new(Store::new(clock.now())),
        });
        let (face, ports) = open(&core, None, doors);
        TestLog { core, face, ports }
    }

    /// Takes a certificate in, its issuers behind it, all DER, and returns the timestamp: `SerializedSCT` without its length.
    ///
    /// # Errors
    /// [`Refused`] when the chain is none for this log.
    pub fn add_chain(&self, chain: &[Vec<u8>]) -> Result<Vec<u8>, Refused> {
        self.face.add(chain, false)
    }

    /// Takes a pre-certificate in; otherwise as [`add_chain`](TestLog::add_chain).
    ///
    /// # Errors
    /// [`Refused`] when the chain is none for this log.
    pub fn add_pre_chain(&self, chain: &[Vec<u8>]) -> Result<Vec<u8>, Refused> {
        self.face.add(chain, true)
    }

    /// Puts all that was handed in into the tree, and publishes a head of the clock's time; also a new head of the same tree.
    pub fn merge(&self) {
        locked(&self.core.store).merge(self.core.clock.now());
    }

    /// The size of the published tree.
    pub fn size(&self) -> u64 {
        locked(&self.core.store).size()
    }

    /// How many entries wait for being merged.
    pub fn pending(&self) -> usize {
        locked(&self.core.store).pending()
    }

    /// Promises the next entries by timestamps and forgets them: broken promises, once the merge delay has passed.
    ///
    /// A static-ct log puts another entry into the promised place.
    pub fn drop_next(&self, entries: usize) {
        locked(&self.core.store).to_drop = entries;
    }

    /// From now on chains must end at this root or one accepted before; without any, all chains are taken.
    pub fn accept_root(&self, root: &[u8]) {
        locked(&self.core.store).roots.push(root.to_vec());
    }

    /// Takes nothing in any more.
    pub fn become_read_only(&self) {
        locked(&self.core.store).read_only = true;
    }

    /// Another face of this log, at ports of its own: the same sizes and times, another root, properly signed.
    ///
    /// The trees differ in the last entry of the published one; of an empty log, in the first entry that it will have.
    ///
    /// # Panics
    /// When the machine has no free ports.
    pub fn fork(&self) -> Fork {
        let at = self.size().saturating_sub(1);
        let (face, ports) = open(&self.core, Some(at), [Door::open(), Door::open()]);
        Fork { core: Arc::clone(&self.core), face, ports }
    }

    /// From now on shows the tree of a fork at the log's own ports; `false` shows the true one again.
    pub fn show_fork(&self, forked: bool) {
        let at = forked.then(|| self.size().saturating_sub(1));
        *locked(&self.face.forked_at) = at;
    }

    /// Tells a lie at every path, beside those that are told already.
    pub fn lie(&self, lie: Lie) {
        self.face.control.lie_at("", lie);
    }

    /// What is lied where, and what was asked.
    pub fn control(&self) -> &Control {
        &self.face.control
    }

    /// Forgets all lies, shows the true tree, and lets go of what was held.
    pub fn be_honest(&self) {
        self.show_fork(false);
        self.face.control.be_honest();
    }

    /// The log's public key.
    pub fn key(&self) -> LogKey {
        self.core.key.public()
    }

    /// The log's identity.
    pub fn id(&self) -> LogId {
        self.core.key.id()
    }

    /// The origin line of its checkpoints.
    pub fn origin(&self) -> &str {
        &self.core.origin
    }

    /// The URL of the interface of RFC 6962, with a closing slash.
    pub fn rfc6962_url(&self) -> String {
        self.ports.rfc6962_url()
    }

    /// The URL of the static-ct interface: both prefixes, submission and monitoring.
    pub fn static_url(&self) -> String {
        self.ports.static_url()
    }

    /// The log as an entry of a list: usable, and run by an operator of its own name.
    pub fn listed(&self) -> Listed {
        self.core.listed(&self.ports)
    }
}

impl Fork {
    /// Tells a lie at every path, beside those that are told already.
    pub fn lie(&self, lie: Lie) {
        self.face.control.lie_at("", lie);
    }

    /// What is lied where, and what was asked.
    pub fn control(&self) -> &Control {
        &self.face.control
    }

    /// The URL of the interface of RFC 6962, with a closing slash.
    pub fn rfc6962_url(&self) -> String {
        self.ports.rfc6962_url()
    }

    /// The URL where checkpoint and tiles are.
    pub fn static_url(&self) -> String {
        self.ports.static_url()
    }

    /// The log as an entry of a list that leads here: the same key and origin.
    pub fn listed(&self) -> Listed {
        self.core.listed(&self.ports)
    }
}

impl Ports {
    fn rfc6962_url(&self) -> String {
        format!("http://{}/", self.rfc6962.address())
    }

    fn static_url(&self) -> String {
        format!("http://{}/", self.static_ct.address())
    }
}

fn open(core: &Arc<Core>, forked_at: Option<u64>, doors: [Door; 2]) -> (Arc<Face>, Ports) {
    let control = Arc::new(Control::new());
    let forked_at = Mutex::new(forked_at);
    let face = Arc::new(Face { core: Arc::clone(core), control: Arc::clone(&control), forked_at });
    let [first, second] = doors;
    let (at_first, at_second) = (Arc::clone(&face), Arc::clone(&face));
    let rfc6962 = first.serve(&control, Arc::new(move |asked, lies| rfc6962::answer(&at_first, asked, lies)));
    let static_ct =
        second.serve(&control, Arc::new(move |asked, lies| static_ct::answer(&at_second, asked, lies)));
    (face, Ports { rfc6962, static_ct })
}

impl Core {
    fn listed(&self, ports: &Ports) -> Listed {
        Listed {
            description: self.name.clone(),
            operator: self.name.clone(),
            key: self.key.public(),
            kind: self.kind,
            rfc6962_url: ports.rfc6962_url(),
            submission_url: self.submission_url.clone(),
            monitoring_url: ports.static_url(),
            mmd_seconds: if self.kind == Kind::StaticCt { 60 } else { 86_400 },
            state: ("usable", "2025-01-01T00:00:00Z".to_owned()),
            previous_operators: Vec::new(),
            temporal_interval: None,
        }
    }
}

impl Face {
    /// Takes a chain in and returns its timestamp; the same one for the same chain.
    pub fn add(&self, chain: &[Vec<u8>], precertificate: bool) -> Result<Vec<u8>, Refused> {
        let core = &*self.core;
        let mut store = locked(&core.store);
        if store.read_only {
            return Err(Refused::ReadOnly);
        }
        let (subject, issuers) = read_chain(chain, precertificate, &store.roots)?;
        let print = Sha256::of(subject.der());
        if let Some(sct) = store.given.get(&print) {
            return Ok(sct.clone());
        }
        let extensions = match core.kind {
            Kind::Rfc6962 => Vec::new(),
            Kind::StaticCt => leaf_index_extension(store.next_index()),
        };
        let entry = Entry { timestamp: core.clock.now(), subject, extensions, issuers };
        let sct = sct(&core.key, &entry);
        store.given.insert(print, sct.clone());
        store.issuers.extend(entry.issuers.iter().map(|issuer| (Sha256::of(issuer), issuer.clone())));
        if store.to_drop == 0 {
            store.take(entry);
        } else {
            store.to_drop -= 1;
            if core.kind == Kind::StaticCt {
                store.take(entry.decoy());
            }
        }
        Ok(sct)
    }

    pub fn tree(&self) -> Tree {
        let forked_at = *locked(&self.forked_at);
        locked(&self.core.store).tree(forked_at)
    }

    /// The head that is shown, and its signature.
    pub fn signed_head(&self, lies: &[Lie]) -> (TreeHead, Vec<u8>) {
        let tree = self.tree();
        let mut head = tree.head();
        for lie in lies {
            match lie {
                Lie::Shrink(size) => head = tree.head_of(*size, self.core.clock.now()),
                Lie::Future(seconds) => head.timestamp = self.core.clock.now().plus_seconds(*seconds),
                _ => {}
            }
        }
        let mut signature = self.core.key.sign_head(&head);
        if let (true, Some(last)) = (lies.contains(&Lie::BadSignature), signature.last_mut()) {
            *last ^= 1;
        }
        (head, signature)
    }

    pub fn roots(&self) -> Vec<Vec<u8>> {
        locked(&self.core.store).roots.clone()
    }

    pub fn issuer(&self, print: &str) -> Option<Vec<u8>> {
        let store = locked(&self.core.store);
        store.issuers.iter().find(|(found, _)| found.to_string() == print).map(|(_, der)| der.clone())
    }

    pub fn origin(&self) -> &str {
        &self.core.origin
    }

    pub fn log_id(&self) -> LogId {
        self.core.key.id()
    }

    pub fn entries_per_answer(&self) -> u64 {
        self.core.entries_per_answer
    }
}

fn sct(key: &PrivateKey, entry: &Entry) -> Vec<u8> {
    let time: Moment = entry.timestamp;
    let signed = key.sign_timestamp(time, &entry.subject.log_entry(), &entry.extensions);
    let extensions = vector(2, &entry.extensions);
    [&[0][..], &key.id().0.0, &time.milliseconds().to_be_bytes(), &extensions, &signed].concat()
}

/// How many entries get-entries answers with at most: few, so that clients must ask again.
const ENTRIES_PER_ANSWER: u64 = 16;
