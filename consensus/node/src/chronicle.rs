//! What an operator reads about views and votes: each turn of this replica's life once, told from the records that it writes.

use certificate::{ReplicaId, Replicas, View};
use pbft::{Record, Standing, Status};
use tracing::{info, warn};

/// What was told last.
pub(crate) struct Chronicle {
    replicas: Replicas,
    view: View,
    changing: bool,
    learns: bool,
}

/// A turn of its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    /// The view is given up, for this reason.
    GaveUp(View, &'static str),
    /// The view has begun.
    Entered(View),
    /// It learns no more.
    Votes,
}

impl Chronicle {
    /// Begins with how the replica stands at its start.
    pub(crate) fn new(replicas: Replicas, status: &Status) -> Chronicle {
        Chronicle {
            replicas,
            view: status.view,
            changing: status.standing == Standing::Changing,
            learns: status.standing == Standing::Learning,
        }
    }

    /// Tells what a record means, if it is news. `suspects` says whether the replica itself found the primary wanting. Returns the primary that was
    /// given up.
    pub(crate) fn tell(&mut self, record: &Record, suspects: bool) -> Option<ReplicaId> {
        match self.news(record, suspects) {
            Some(News::GaveUp(view, why)) => {
                let primary = self.replicas.primary(view);
                warn!(%view, %primary, "gave up view: {why}");
                return Some(primary);
            }
            Some(News::Entered(view)) => {
                info!(%view, primary = %self.replicas.primary(view), "entered view");
            }
            Some(News::Votes) => info!(view = %self.view, "votes again: what it forgot can do no harm"),
            None => {}
        }
        None
    }

    /// Records of what is known already are written again with each checkpoint: they are no news.
    fn news(&mut self, record: &Record, suspects: bool) -> Option<News> {
        match record {
            Record::ViewChanging(message) if message.view > self.view => {
                let why = match (suspects, self.changing) {
                    (true, _) => "its primary makes no progress",
                    (false, true) => "its primary did not begin it",
                    (false, false) => "others ask for the next",
                };
                let given_up = std::mem::replace(&mut self.view, message.view);
                self.changing = true;
                Some(News::GaveUp(given_up, why))
            }
            Record::Entered { new_view, .. }
                if new_view.view > self.view || new_view.view == self.view && self.changing =>
            {
                self.view = new_view.view;
                self.changing = false;
                Some(News::Entered(self.view))
            }
            Record::Voter if std::mem::take(&mut self.learns) => Some(News::Votes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use certificate::{Digest, ReplicaId, Signature};
    use pbft::{NewView, ViewChange};
    use std::sync::Arc;

    fn gives_up_for(view: u64) -> Record {
        Record::ViewChanging(Arc::new(ViewChange {
            view: View(view),
            replica: ReplicaId(2),
            stable: None,
            decided: None,
            slots: Vec::new(),
            signature: Signature([0; 64]),
        }))
    }

    fn enters(view: u64) -> Record {
        let new_view = NewView {
            view: View(view),
            view_changes: vec![(ReplicaId(0), Digest::ZERO)],
            proposals: Vec::new(),
            signature: Signature([0; 64]),
        };
        Record::Entered { new_view: Arc::new(new_view), view_changes: Vec::new() }
    }

    fn chronicle(standing: Standing) -> Chronicle {
        Chronicle::new(Replicas::new(4, 1).unwrap(), &Status { standing, ..Status::default() })
    }

    #[test]
    fn each_turn_of_a_view_change_is_told_once() {
        let mut told = chronicle(Standing::Active);
        let news = |told: &mut Chronicle, record, suspects| told.news(&record, suspects);
        assert_eq!(
            news(&mut told, gives_up_for(1), true),
            Some(News::GaveUp(View(0), "its primary makes no progress"))
        );
        assert_eq!(news(&mut told, gives_up_for(1), true), None);
        assert_eq!(
            news(&mut told, gives_up_for(2), false),
            Some(News::GaveUp(View(1), "its primary did not begin it"))
        );
        assert_eq!(news(&mut told, enters(2), false), Some(News::Entered(View(2))));
        assert_eq!(news(&mut told, enters(2), false), None, "a checkpoint writes it again");
        assert_eq!(
            news(&mut told, gives_up_for(5), false),
            Some(News::GaveUp(View(2), "others ask for the next"))
        );
        assert_eq!(news(&mut told, enters(6), false), Some(News::Entered(View(6))));
    }

    #[test]
    fn only_who_learnt_votes_again() {
        assert_eq!(chronicle(Standing::Active).news(&Record::Voter, false), None);
        let mut learner = chronicle(Standing::Learning);
        assert_eq!(learner.news(&Record::Voter, false), Some(News::Votes));
        assert_eq!(learner.news(&Record::Voter, false), None);
    }
}
