//! What certificates are judged by, as one value: log list, roots with intermediates, revocation lists; each with the bytes it was read from.

use std::sync::Arc;

use bytes::Bytes;
use ct_watch::inputs::Loaded;
use transparency::content::{crl_set, decode_lists, decode_trust, encode_lists, encode_trust};
use transparency::digest::Sha256;
use transparency::log_list::LogList;
use transparency::operation::InputKind;
use transparency::revocation::{CrlSet, RevocationMode};
use transparency::roots::{Intermediates, RootStore};
use transparency::{Pinned, Policy};

/// Where chains end, and what helps to build them.
#[derive(Debug)]
pub struct Trust {
    pub roots: RootStore,
    pub intermediates: Intermediates,
}

/// Revocation lists.
#[derive(Debug)]
pub struct Lists {
    pub set: CrlSet,
    /// Each in DER.
    pub ders: Vec<Vec<u8>>,
}

/// One of the inputs.
#[derive(Clone, Debug)]
pub enum Input {
    LogList(Arc<Loaded<LogList>>),
    Trust(Arc<Loaded<Trust>>),
    Lists(Arc<Loaded<Lists>>),
}

/// All that certificates are judged by.
#[derive(Clone, Debug)]
pub struct Materials {
    /// Without one, whether timestamps suffice cannot be judged.
    pub log_list: Option<Arc<Loaded<LogList>>>,
    pub trust: Arc<Loaded<Trust>>,
    /// `None` when there is no list.
    pub lists: Option<Arc<Loaded<Lists>>>,
    /// Issuers that are configured and fetched here, which chains are completed by in the place of those of `trust`. No statement on an
    /// operation hangs on them: each replica fetches others. Remarks on answers do, and may differ until all replicas have fetched the same.
    pub issuers: Option<Arc<Loaded<Intermediates>>>,
}

impl Trust {
    /// These roots and intermediates, with the bytes that stand for them.
    pub fn load(roots: RootStore, intermediates: Intermediates) -> Arc<Loaded<Trust>> {
        let bytes = Bytes::from(encode_trust(&roots, &intermediates));
        Arc::new(Loaded::new(Trust { roots, intermediates }, bytes))
    }
}

impl Lists {
    /// These lists, with the bytes that stand for them; `None` when there is none.
    pub fn load(ders: Vec<Vec<u8>>) -> Option<Arc<Loaded<Lists>>> {
        let bytes = Bytes::from(encode_lists(&ders));
        let lists = Lists { set: crl_set(&ders), ders };
        (!lists.ders.is_empty()).then(|| Arc::new(Loaded::new(lists, bytes)))
    }
}

impl Input {
    /// Reads content of this kind; `None` when it is none.
    pub fn read(kind: InputKind, bytes: Bytes) -> Option<Input> {
        match kind {
            InputKind::LogList => {
                let list = LogList::parse(&bytes).ok()?;
                Some(Input::LogList(Arc::new(Loaded::new(list, bytes))))
            }
            InputKind::Trust => {
                let (roots, intermediates) = decode_trust(&bytes).ok()?;
                Some(Input::Trust(Arc::new(Loaded::new(Trust { roots, intermediates }, bytes))))
            }
            InputKind::Lists => {
                let ders = decode_lists(&bytes).ok()?;
                let lists = Lists { set: crl_set(&ders), ders };
                Some(Input::Lists(Arc::new(Loaded::new(lists, bytes))))
            }
        }
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Sha256 {
        match self {
            Input::LogList(loaded) => loaded.digest,
            Input::Trust(loaded) => loaded.digest,
            Input::Lists(loaded) => loaded.digest,
        }
    }

    /// The bytes that it was read from.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Input::LogList(loaded) => &loaded.bytes,
            Input::Trust(loaded) => &loaded.bytes,
            Input::Lists(loaded) => &loaded.bytes,
        }
    }
}

impl Materials {
    /// The input of this kind, if there is one.
    pub fn input(&self, kind: InputKind) -> Option<Input> {
        match kind {
            InputKind::LogList => self.log_list.clone().map(Input::LogList),
            InputKind::Trust => Some(Input::Trust(self.trust.clone())),
            InputKind::Lists => self.lists.clone().map(Input::Lists),
        }
    }

    /// Takes this input in the place of the one of its kind.
    pub fn put(&mut self, input: Input) {
        match input {
            Input::LogList(list) => self.log_list = Some(list),
            Input::Trust(trust) => self.trust = trust,
            Input::Lists(lists) => self.lists = Some(lists),
        }
    }

    /// Digests of all four in their order; none is zero.
    pub fn digests(&self) -> [Sha256; 4] {
        let of = |kind| self.input(kind).map(|input| input.digest());
        let [first, second, third] = InputKind::ALL.map(of);
        let issuers = self.issuers.as_ref().map(|issuers| issuers.digest);
        [first, second, third, issuers].map(|digest| digest.unwrap_or(Sha256([0; 32])))
    }

    /// All but what this replica alone may have.
    pub fn agreed(self) -> Materials {
        Materials { issuers: None, ..self }
    }

    /// Calls `judge` with all of it.
    pub fn pinned<T>(
        &self,
        (policy, revocation): (&Policy, RevocationMode),
        judge: impl FnOnce(&Pinned<'_>) -> T,
    ) -> T {
        let none = CrlSet::default();
        judge(&Pinned {
            policy,
            log_list: self.log_list.as_ref().map(|list| &list.value),
            roots: &self.trust.value.roots,
            intermediates: match &self.issuers {
                Some(issuers) => &issuers.value,
                None => &self.trust.value.intermediates,
            },
            crls: self.lists.as_ref().map_or(&none, |lists| &lists.value.set),
            revocation,
            private_roots_need_logs: false,
        })
    }
}
