//! What this replica has from its own sources: files and, once background work runs, what that fetched.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use ct_watch::Watch;
use ct_watch::inputs::Inputs as Watched;
use transparency::content::decode_lists;
use transparency::roots::RootStore;

use super::inputs::{Lists, Materials, Trust};

/// The sources of this replica.
pub struct Own {
    roots: RootStore,
    /// What the files held when the configuration was read.
    files: Arc<Watched>,
    watch: OnceLock<Arc<Watch>>,
    /// What was made of which snapshot.
    current: ArcSwap<(Arc<Watched>, Arc<Materials>)>,
}

impl Own {
    /// These roots, and what files hold.
    pub fn new(roots: RootStore, files: Watched) -> Own {
        let files = Arc::new(files);
        let made = Arc::new(materials(&roots, &files, None));
        let current = ArcSwap::from_pointee((files.clone(), made));
        Own { roots, files, watch: OnceLock::new(), current }
    }

    /// From now on, what this watch holds is what there is.
    pub fn follow(&self, watch: Arc<Watch>) {
        // A plugin is started once; a second watch would be of no use.
        let _already = self.watch.set(watch);
    }

    /// What there is now.
    pub fn materials(&self) -> Arc<Materials> {
        let now = self.watch.get().map_or_else(|| self.files.clone(), |watch| watch.inputs());
        let current = self.current.load();
        if Arc::ptr_eq(&current.0, &now) {
            return current.1.clone();
        }
        let made = Arc::new(materials(&self.roots, &now, Some(&current)));
        self.current.store(Arc::new((now, made.clone())));
        made
    }
}

/// What the sources hold; what has not changed since `before` is not made anew.
fn materials(roots: &RootStore, now: &Watched, before: Option<&(Arc<Watched>, Arc<Materials>)>) -> Materials {
    let same_trust = before.filter(|(watched, _)| Arc::ptr_eq(&watched.intermediates, &now.intermediates));
    let trust = match same_trust {
        Some((_, made)) => made.trust.clone(),
        None => {
            let intermediates = now.intermediates.value.iter().cloned();
            Trust::load(roots.clone(), transparency::roots::Intermediates::new(intermediates))
        }
    };
    let same_lists = before.filter(|(watched, _)| Arc::ptr_eq(&watched.crls, &now.crls));
    let lists = match same_lists {
        Some((_, made)) => made.lists.clone(),
        None => Lists::load(decode_lists(&now.crls.bytes).unwrap_or_default()),
    };
    Materials { log_list: now.log_list.clone(), trust, lists }
}
