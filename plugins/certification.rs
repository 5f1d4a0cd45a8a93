//! The certificate of an answer: complete, or on its way while the answer goes out already.
//!
//! An answer may be certain before a quorum's signatures are in. Whoever keeps it keeps a [`Certification`], so the certificate is there for
//! later askers as soon as it is complete, and who needs it now can wait for it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::response::Certified;

/// About how long a certificate is, in bytes, as long as it is not there.
const BYTES_TYPICAL: usize = 800;

/// How far it is.
#[derive(Clone, Debug)]
enum Stage {
    OnItsWay,
    Complete(Arc<Certified>),
    Never,
}

/// The end of a certification that completes it. Dropped before: there will be none.
#[derive(Debug)]
pub struct Completion {
    stage: watch::Sender<Stage>,
    option_code: u16,
}

/// The end that answers carry. Clones are of one certificate.
#[derive(Clone, Debug)]
pub struct Certification {
    stage: watch::Receiver<Stage>,
    option_code: u16,
}

impl Completion {
    /// A certificate that is on its way; `option_code` is the EDNS option that asks for it.
    pub fn open(option_code: u16) -> Completion {
        Completion { stage: watch::Sender::new(Stage::OnItsWay), option_code }
    }

    /// The certificate is complete. A second one is not looked at.
    pub fn complete(&self, certified: Arc<Certified>) {
        self.finish(Stage::Complete(certified));
    }

    /// There will be none.
    pub fn give_up(&self) {
        self.finish(Stage::Never);
    }

    fn finish(&self, last: Stage) {
        self.stage.send_if_modified(|stage| {
            let open = matches!(stage, Stage::OnItsWay);
            if open {
                *stage = last;
            }
            open
        });
    }

    /// What answers carry of it.
    pub fn certification(&self) -> Certification {
        Certification { stage: self.stage.subscribe(), option_code: self.option_code }
    }

    /// The certificate, when it is complete.
    pub fn get(&self) -> Option<Arc<Certified>> {
        complete(&self.stage.borrow())
    }
}

impl Certification {
    /// A certificate that is there.
    pub fn complete(certified: Arc<Certified>) -> Certification {
        let option_code = certified.option_code;
        let (_, stage) = watch::channel(Stage::Complete(certified));
        Certification { stage, option_code }
    }

    /// The EDNS option that asks for it and carries it.
    pub fn option_code(&self) -> u16 {
        self.option_code
    }

    /// The certificate, when it is complete.
    pub fn get(&self) -> Option<Arc<Certified>> {
        complete(&self.stage.borrow())
    }

    /// The certificate when it is complete; `None` when there will be none. May take for ever: bound the wait.
    pub async fn wait(&self) -> Option<Arc<Certified>> {
        let mut stage = self.stage.clone();
        let known = stage.wait_for(|stage| !matches!(stage, Stage::OnItsWay)).await;
        known.ok().and_then(|stage| complete(&stage))
    }

    /// About how many bytes it has.
    pub fn bytes(&self) -> usize {
        self.get().map_or(BYTES_TYPICAL, |certified| certified.bytes.len())
    }
}

fn complete(stage: &Stage) -> Option<Arc<Certified>> {
    match stage {
        Stage::Complete(certified) => Some(certified.clone()),
        Stage::OnItsWay | Stage::Never => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{self, a, answer};

    fn certified() -> Arc<Certified> {
        let response = rehearsal::certified(answer(vec![a("www.example.org.", 300, 1)]));
        response.certificate.and_then(|certification| certification.get()).expect("it is complete")
    }

    #[tokio::test]
    async fn who_waits_gets_the_certificate_when_it_is_complete() {
        let (completion, certified) = (Completion::open(65_321), certified());
        let certification = completion.certification();
        assert!(certification.get().is_none() && completion.get().is_none());
        let waiting = tokio::spawn(async move { certification.wait().await });
        completion.complete(certified.clone());
        assert!(Arc::ptr_eq(&waiting.await.unwrap().expect("a certificate"), &certified));
        let late = completion.certification();
        drop(completion);
        assert!(Arc::ptr_eq(&late.get().expect("it stays"), &certified));
    }

    #[tokio::test]
    async fn nobody_waits_for_what_will_not_come() {
        let given_up = Completion::open(65_321);
        given_up.give_up();
        given_up.complete(certified());
        assert!(given_up.certification().wait().await.is_none());
        let dropped = Completion::open(65_321).certification();
        assert!(dropped.wait().await.is_none());
    }

    #[test]
    fn first_certificate_stays() {
        let (completion, first) = (Completion::open(65_321), certified());
        completion.complete(first.clone());
        completion.give_up();
        completion.complete(certified());
        assert!(Arc::ptr_eq(&completion.get().expect("it is complete"), &first));
    }
}
