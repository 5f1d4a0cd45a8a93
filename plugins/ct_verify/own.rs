//! What this replica has from its own sources: files and, once background work runs, what that fetched.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use ct_watch::Watch;
use ct_watch::inputs::{Inputs as Watched, Loaded};
use transparency::content::decode_lists;
use transparency::roots::{Intermediates, RootStore};

use super::aside::beside;
use super::inputs::{Lists, Materials, Trust};

/// The sources of this replica.
pub struct Own {
    sources: Arc<Sources>,
}

struct Sources {
    /// Roots and intermediates that are configured. What was fetched is no part of them: every replica fetches something else.
    trust: Arc<Loaded<Trust>>,
    /// What the files held when the configuration was read.
    files: Arc<Watched>,
    watch: OnceLock<Arc<Watch>>,
    /// What was made of which snapshot.
    current: ArcSwap<(Arc<Watched>, Arc<Materials>)>,
    /// The snapshot that was read last, whatever came of it: one that cannot be read is not read again at every query.
    tried: ArcSwap<Watched>,
    /// Whether a new snapshot is being read.
    is_reading: AtomicBool,
}

impl Own {
    /// These roots, and what files hold.
    pub fn new(roots: RootStore, files: Watched) -> Own {
        let files = Arc::new(files);
        let configured = files.intermediates.value.iter().cloned();
        let trust = Trust::load(roots, Intermediates::new(configured));
        let made = Arc::new(materials(&trust, &files, None));
        let current = ArcSwap::from_pointee((files.clone(), made));
        let (tried, is_reading) = (ArcSwap::new(files.clone()), AtomicBool::new(false));
        Own {
            sources: Arc::new(Sources { trust, files, watch: OnceLock::new(), current, tried, is_reading }),
        }
    }

    /// From now on, what this watch holds is what there is.
    pub fn follow(&self, watch: Arc<Watch>) {
        // A plugin is started once; a second watch would be of no use.
        let _already = self.sources.watch.set(watch);
        self.sources.read_by(materials);
    }

    /// What there is now. When the sources have something new, that is read beside the caller, who gets what was there before.
    pub fn materials(&self) -> Arc<Materials> {
        if self.sources.is_new() && !self.sources.is_reading.swap(true, Ordering::AcqRel) {
            let reading = Reading(self.sources.clone());
            beside(move || reading.0.read_by(materials));
        }
        self.sources.current.load().1.clone()
    }
}

impl Sources {
    fn now(&self) -> Arc<Watched> {
        self.watch.get().map_or_else(|| self.files.clone(), |watch| watch.inputs())
    }

    /// Whether there is a snapshot that was not read yet.
    fn is_new(&self) -> bool {
        !Arc::ptr_eq(&self.tried.load(), &self.now())
    }

    fn read_by(&self, read: Read) {
        let (now, before) = (self.now(), self.current.load_full());
        self.tried.store(now.clone());
        let made = Arc::new(read(&self.trust, &now, Some(&before)));
        self.current.store(Arc::new((now, made)));
    }
}

/// How a snapshot is read: with the trust of this replica, and after what was read before.
type Read = fn(&Arc<Loaded<Trust>>, &Watched, Option<&(Arc<Watched>, Arc<Materials>)>) -> Materials;

/// A snapshot that is being read; when that ends, however it ends, the next may be.
struct Reading(Arc<Sources>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.is_reading.store(false, Ordering::Release);
    }
}

/// What the sources hold; what has not changed since `before` is not made anew.
fn materials(
    trust: &Arc<Loaded<Trust>>,
    now: &Watched,
    before: Option<&(Arc<Watched>, Arc<Materials>)>,
) -> Materials {
    let same_lists = before.filter(|(watched, _)| Arc::ptr_eq(&watched.crls, &now.crls));
    let lists = match same_lists {
        Some((_, made)) => made.lists.clone(),
        None => Lists::load(decode_lists(&now.crls.bytes).unwrap_or_default()),
    };
    let issuers = Some(now.intermediates.clone());
    Materials { log_list: now.log_list.clone(), trust: trust.clone(), lists, issuers }
}

#[cfg(test)]
mod tests {
    use super::super::tests::chain;
    use super::*;

    #[test]
    fn snapshot_that_cannot_be_read_is_not_read_at_every_query() {
        let own = Own::new(RootStore::new("none", []), Watched::default());
        let before = own.materials();
        own.sources.tried.store(Arc::default());
        assert!(own.sources.is_new());
        let read = std::panic::AssertUnwindSafe(|| own.sources.read_by(|_, _, _| panic!("unreadable")));
        assert!(std::panic::catch_unwind(read).is_err());
        assert!(!own.sources.is_new());
        assert!(Arc::ptr_eq(&own.materials(), &before), "what there was is there still");
    }

    #[test]
    fn what_is_agreed_on_hangs_on_no_issuer_that_was_fetched() {
        let own = Own::new(RootStore::new("none", []), Watched::default());
        let fetched = Intermediates::new(chain("good").into_iter().skip(1));
        let watched = Watched {
            intermediates: Arc::new(Loaded::new(fetched, bytes::Bytes::from_static(b"fetched"))),
            ..Watched::default()
        };
        let made = materials(&own.sources.trust, &watched, None);
        assert_eq!(made.trust.digest, own.materials().trust.digest);
        assert_ne!(made.digests(), own.materials().digests(), "verdicts on answers may be others");
        assert_eq!(made.agreed().digests(), Materials::clone(&own.materials()).agreed().digests());
    }
}
