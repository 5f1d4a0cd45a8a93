//! The end of a replica's chain: what it sees of DNS, name by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;

use crate::chain::Next;
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::Query;
use crate::rehearsal::{a, answer, denial, soa};
use crate::response::Response;
use crate::validator::Validator;

/// What an upstream does with a query.
#[derive(Clone)]
pub enum Says {
    /// Answers with this.
    This(Response),
    /// Fails.
    Fails(ServeError),
    /// Never answers.
    Nothing,
}

/// An upstream. Names that it was told nothing of do not exist below `example.org`.
#[derive(Default)]
pub struct Upstream {
    says: Mutex<BTreeMap<String, Says>>,
    asked: Mutex<Vec<Query>>,
    validator: Mutex<Option<Arc<dyn Validator>>>,
}

impl Upstream {
    /// From now on says this about `name`.
    pub fn say(&self, name: &str, says: Says) {
        self.says.lock().unwrap().insert(name.to_owned(), says);
    }

    /// From now on `validator` judges what is no question.
    pub fn judges_by(&self, validator: Arc<dyn Validator>) {
        *self.validator.lock().unwrap() = Some(validator);
    }

    /// The queries for `name` that came.
    pub fn asked(&self, name: &str) -> Vec<Query> {
        self.asked.lock().unwrap().iter().filter(|query| query.name.to_string() == name).cloned().collect()
    }
}

#[async_trait]
impl Plugin for Upstream {
    fn name(&self) -> &'static str {
        "upstream"
    }

    fn validator(&self) -> Option<Arc<dyn Validator>> {
        self.validator.lock().unwrap().clone()
    }

    async fn serve(&self, query: &Query, _: Next) -> Result<Response, ServeError> {
        self.asked.lock().unwrap().push(query.clone());
        let says = self.says.lock().unwrap().get(&query.name.to_string()).cloned();
        match says {
            Some(Says::This(response)) => Ok(response),
            Some(Says::Fails(error)) => Err(error),
            Some(Says::Nothing) => std::future::pending().await,
            None => Ok(nxdomain()),
        }
    }
}

/// `name 300 IN A 192.0.2.LAST`
pub fn address(name: &str, last: u8) -> Response {
    answer(vec![a(name, 300, last)])
}

/// NXDOMAIN by `example.org`, for a minute.
pub fn nxdomain() -> Response {
    denial(ResponseCode::NXDomain, soa("example.org.", 300, 60))
}
