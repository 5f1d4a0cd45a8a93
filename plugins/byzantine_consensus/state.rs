//! Whether the state folder that the directive names is the memory of this replica under this cluster file. Looks, and changes nothing.
//!
//! The node judges its log itself when it starts; this says the same while nothing runs yet, at the place in the Corefile.

use std::path::Path;

use certificate::{Cluster, Digest, ReplicaId};
use corefile::{Diagnostic, Span};
use node::log::{Owner, owner};

/// So many digits of a digest tell two cluster files apart for people.
const DIGITS: usize = 12;

/// What is to be said of the folder `state`: an error when its log is another's, a warning when there is none or nobody can see.
pub(super) fn look(state: &Path, cluster: &Cluster, me: ReplicaId, span: &Span) -> Option<Diagnostic> {
    let shown = state.display();
    let (message, hint) = match owner(state) {
        Ok(Owner::Unknown) => return None,
        Ok(Owner::Replica { cluster: theirs, me: found }) => {
            let (message, hint) = foreign(cluster.digest(), me, theirs, found)?;
            let message = format!("byzantine-consensus: state: `{shown}`: {message}");
            return Some(Diagnostic::error(span, message).with_hint(hint));
        }
        Ok(Owner::Nobody) => (
            format!("no log in `{shown}`: replica {me} learns from others that vote, and votes later"),
            "a new cluster begins with the folder `state` that `quorate cluster new` wrote for each replica; without those nobody votes, ever",
        ),
        Err(reason) => (
            format!("cannot look into `{shown}`: {reason}"),
            "whether it is of this replica and this cluster file is seen when it starts",
        ),
    };
    Some(Diagnostic::warning(span, format!("byzantine-consensus: state: {message}")).with_hint(hint))
}

/// What is wrong with a log, and what to do; `None` when it is ours.
fn foreign(ours: Digest, me: ReplicaId, theirs: Digest, found: ReplicaId) -> Option<(String, String)> {
    let short = |digest: Digest| digest.to_string()[..DIGITS].to_owned();
    if theirs != ours {
        let message = format!(
            "expected the log of replica {me} under this cluster file ({}), found that of replica {found} under another ({})",
            short(ours),
            short(theirs),
        );
        let hint = "a replica keeps to the cluster file that its log began under: put that file back. To change it, make a new cluster: \
                    `quorate cluster new --settings cluster.toml`. Move the folder away only if the other replicas vote under this very file: \
                    when all do so, nobody votes, ever";
        return Some((message, hint.to_owned()));
    }
    (found != me).then(|| {
        (
            format!("expected the log of replica {me}, found that of replica {found}"),
            format!("each replica has a key and a state folder of its own: name those of replica {me}, or those of replica {found}"),
        )
    })
}
