//! The thread through which an adversary speaks: words of the honest code come in, what the vice makes of them goes to the transport.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use pbft::{Message, Recipients};
use tracing::warn;

use super::{Adversary, Liar, Said, Vice};
use crate::transport::Peers;

/// How often a vice acts of its own accord.
pub(super) const STIR_EVERY: Duration = Duration::from_millis(25);

/// Words that may wait for the thread; more are lost, as in an overloaded network.
const WORDS_MAX: usize = 8192;

/// Words that may wait for their time; more are lost.
const LATER_MAX: usize = 65_536;

enum Word {
    Said(Recipients, Message),
    Heard(Message),
}

/// Where the driver of an adversary speaks. The thread ends when this is dropped.
pub(crate) struct Voice {
    words: SyncSender<Word>,
}

impl Voice {
    /// Begins to misbehave.
    ///
    /// Errors: the operating system gives no thread.
    pub(crate) fn start(vice: Vice, liar: Liar, peers: Arc<Peers>) -> io::Result<Voice> {
        let (words, taken) = sync_channel(WORDS_MAX);
        warn!(me = %liar.me, %vice, "this replica misbehaves on purpose");
        let thread = std::thread::Builder::new().name(format!("{vice}-{}", liar.me));
        thread.spawn(move || {
            let mut mouth = Mouth { vice: vice.at_work(), liar, peers, later: BTreeMap::new(), number: 0 };
            mouth.run(&taken);
        })?;
        Ok(Voice { words })
    }

    /// The honest code says something.
    pub(crate) fn speak(&self, to: Recipients, message: &Message) {
        let _ = self.words.try_send(Word::Said(to, message.clone()));
    }

    /// The honest code hears something.
    pub(crate) fn hear(&self, message: &Message) {
        let _ = self.words.try_send(Word::Heard(message.clone()));
    }
}

struct Mouth {
    vice: Box<dyn Adversary>,
    liar: Liar,
    peers: Arc<Peers>,
    /// What is said later, by time; the number keeps the order of equal times.
    later: BTreeMap<(Instant, u64), (Recipients, Message)>,
    number: u64,
}

impl Mouth {
    fn run(&mut self, words: &Receiver<Word>) {
        let mut stir = Instant::now() + STIR_EVERY;
        loop {
            let next = self.later.first_key_value().map_or(stir, |((due, _), _)| stir.min(*due));
            match words.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Word::Said(to, message)) => {
                    let said = self.vice.speak(&self.liar, to, message);
                    self.say(said);
                }
                Ok(Word::Heard(message)) => self.vice.hear(&self.liar, &message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if now >= stir {
                stir = now + STIR_EVERY;
                let said = self.vice.stir(&self.liar);
                self.say(said);
            }
            while let Some(due) = self.later.first_entry().filter(|due| due.key().0 <= now) {
                let (to, message) = due.remove();
                self.peers.send(now, to, &message);
            }
        }
    }

    fn say(&mut self, said: Vec<Said>) {
        let now = Instant::now();
        for (to, message, delay) in said {
            if delay.is_zero() {
                self.peers.send(now, to, &message);
            } else if self.later.len() < LATER_MAX {
                self.number += 1;
                self.later.insert((now + delay, self.number), (to, message));
            }
        }
    }
}
