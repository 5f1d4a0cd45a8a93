//! Lookups under way: who asks the same as somebody before waits for that answer.
//!
//! A lookup belongs to no client. It runs in a task of its own, so that a client that goes away takes no answer from others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::error::ServeError;
use crate::response::Response;

/// How a lookup ended.
pub type Landing = Result<Arc<Response>, ServeError>;

/// All lookups under way.
#[derive(Clone, Default)]
pub struct Flights {
    by_key: Arc<Mutex<ByKey>>,
}

type ByKey = HashMap<Box<[u8]>, Flight, ahash::RandomState>;

struct Flight {
    landing: watch::Receiver<Option<Landing>>,
    waiting: usize,
}

/// What to do about a question.
pub enum Boarding {
    /// Nobody asks it: look it up, land the answer.
    Lead(Takeoff, Waiting),
    /// Somebody asks it: wait.
    Follow(Waiting),
    /// Too many lookups, or too many that wait for this one.
    Full,
}

/// The duty to land an answer. Dropped without one, those who wait get an error.
pub struct Takeoff {
    flights: Flights,
    key: Box<[u8]>,
    landing: watch::Sender<Option<Landing>>,
}

/// The right to an answer that is looked up.
pub struct Waiting(watch::Receiver<Option<Landing>>);

impl Flights {
    /// Joins the lookup of `key`, or begins one.
    pub fn board(&self, key: &[u8]) -> Boarding {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let full = by_key.len() >= FLIGHTS_MAX;
        match by_key.get_mut(key) {
            Some(flight) if flight.waiting >= WAITING_MAX => Boarding::Full,
            Some(flight) => {
                flight.waiting += 1;
                Boarding::Follow(Waiting(flight.landing.clone()))
            }
            None if full => Boarding::Full,
            None => {
                let (sender, receiver) = watch::channel(None);
                by_key.insert(key.into(), Flight { landing: receiver.clone(), waiting: 1 });
                let takeoff = Takeoff { flights: self.clone(), key: key.into(), landing: sender };
                Boarding::Lead(takeoff, Waiting(receiver))
            }
        }
    }
}

impl Takeoff {
    /// Gives `landing` to all who wait. Whoever asks from now on asks anew.
    pub fn land(self, landing: Landing) {
        self.landing.send_replace(Some(landing));
    }
}

impl Drop for Takeoff {
    fn drop(&mut self) {
        self.flights.by_key.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl Waiting {
    /// Waits for the answer.
    ///
    /// Errors: that of the lookup; `ServeError::Internal` when it ended without a word.
    pub async fn landing(mut self) -> Landing {
        match self.0.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().expect("waited for it"),
            Err(_) => Err(ServeError::Internal("the lookup ended without an answer".into())),
        }
    }
}

/// Lookups under way at once.
pub const FLIGHTS_MAX: usize = 16_384;
/// Queries that wait for one lookup.
pub const WAITING_MAX: usize = 4_096;
