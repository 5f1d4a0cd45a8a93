//! The plugin: asks another question, and makes of the answer one to the question that was asked.

use async_trait::async_trait;
use certificate::{Judged, Remark};
use hickory_proto::rr::Name;

use super::answer;
use super::rules::{Edit, NotAName, Rewritten, Rule, apply};
use crate::chain::{Next, Rest};
use crate::error::ServeError;
use crate::plugin::Plugin;
use crate::query::Query;
use crate::response::Response;

/// `rewrite`
pub struct Rewrite {
    rules: Vec<Rule>,
}

impl Rewrite {
    /// Questions and answers by `rules`.
    pub fn new(rules: Vec<Rule>) -> Rewrite {
        Rewrite { rules }
    }
}

impl From<NotAName> for ServeError {
    fn from(error: NotAName) -> ServeError {
        ServeError::Internal(error.to_string())
    }
}

#[async_trait]
impl Plugin for Rewrite {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn serve(&self, query: &Query, next: Next) -> Result<Response, ServeError> {
        let Rewritten { name, qtype, edits } = apply(&self.rules, &query.name, query.qtype)?;
        let rest = next.rest();
        let is_other = name != query.name || qtype != query.qtype;
        let asked = if is_other { Query { qtype, ..about(query, name) } } else { query.clone() };
        let mut response = match next.serve(&asked).await {
            Ok(response) => response,
            Err(error) => failure(error, &edits)?,
        };
        // What proves the answer to one question proves nothing about another.
        response.authentic_data &= !is_other;
        let mut is_altered = false;
        for edit in edits.iter().rev() {
            is_altered |= match edit {
                Edit::Owners(change) => answer::replace_owners(&mut response, change)?,
                Edit::Values(change) => answer::replace_values(&mut response, change)?,
                Edit::Ttl(bounds) => answer::bound_ttls(&mut response, *bounds),
                Edit::Rcode(from, to) => {
                    let matches = response.rcode == *from;
                    response.rcode = if matches { *to } else { response.rcode };
                    matches
                }
                Edit::Cname(change) => match answer::redirect(&mut response, change)? {
                    Some(target) => follow(&mut response, &asked, target, &rest).await.map(|()| true)?,
                    None => false,
                },
            };
        }
        if is_altered {
            answer::disown(&mut response);
        }
        Ok(response)
    }
}

/// The query, for `name` instead.
fn about(query: &Query, name: Name) -> Query {
    Query { name_as_asked: name.clone(), name, ..query.clone() }
}

/// What a failure behind becomes, if a rule is about its rcode; the failure itself if none is.
fn failure(error: ServeError, edits: &[Edit]) -> Result<Response, ServeError> {
    let is_named = |edit: &Edit| matches!(edit, Edit::Rcode(from, _) if *from == error.rcode());
    if error == ServeError::Dropped || !edits.iter().any(is_named) {
        return Err(error);
    }
    let mut response = Response::new(error.rcode(), NAME);
    response.extended_errors.push(error.extended_error());
    response.cache_ttl_s = Some(0);
    Ok(response)
}

/// Looks up where an alias leads now, and puts what is there behind it.
async fn follow(response: &mut Response, query: &Query, target: Name, rest: &Rest) -> Result<(), ServeError> {
    let found = rest.next().serve(&about(query, target)).await?;
    response.rcode = found.rcode;
    response.truncated |= found.truncated;
    // What is held back behind the alias is held back here, too.
    response.remark = worse(response.remark.take(), found.remark);
    response.extended_errors.extend(found.extended_errors);
    response.answers.extend(found.answers);
    response.authorities = found.authorities;
    response.additionals = found.additionals;
    response.cache_ttl_s = match (response.cache_ttl_s, found.cache_ttl_s) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(())
}

/// Of two remarks the one that says that something does not hold; the later one of two that do.
fn worse(one: Option<Remark>, other: Option<Remark>) -> Option<Remark> {
    let is_bad = |remark: &Remark| remark.judged != Judged::Valid;
    match (one, other) {
        (Some(one), Some(other)) if is_bad(&one) && !is_bad(&other) => Some(one),
        (one, other) => other.or(one),
    }
}

/// The directive.
const NAME: &str = "rewrite";
