//! Log lists as JSON says them, schema version 3: what is read, and how one entry becomes a log.
//!
//! Fields that we do not know are passed over; lists grow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::digest::Sha256;
use crate::log_key::LogKey;
use crate::log_list::{CtLog, Interface, PREVIOUS_OPERATORS_MAX, SetAsideWhy, State, StateKind};
use crate::moment::MomentError;

#[derive(Deserialize)]
pub(crate) struct ListJson {
    pub version: Option<String>,
    pub log_list_timestamp: String,
    pub operators: Vec<OperatorJson>,
}

#[derive(Deserialize)]
pub(crate) struct OperatorJson {
    name: String,
    #[serde(default)]
    logs: Vec<LogJson>,
    #[serde(default)]
    tiled_logs: Vec<LogJson>,
}

#[derive(Deserialize)]
pub(crate) struct LogJson {
    #[serde(default)]
    pub description: String,
    log_id: String,
    key: String,
    #[serde(default)]
    url: String,
    submission_url: Option<String>,
    monitoring_url: Option<String>,
    #[serde(default)]
    mmd: u64,
    state: Option<StateJson>,
    temporal_interval: Option<IntervalJson>,
    #[serde(default)]
    previous_operators: Vec<PreviousJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum StateJson {
    Pending(SinceJson),
    Qualified(SinceJson),
    Usable(SinceJson),
    Readonly(SinceJson),
    Retired(SinceJson),
    Rejected(SinceJson),
}

#[derive(Deserialize)]
struct SinceJson {
    timestamp: String,
}

#[derive(Deserialize)]
struct IntervalJson {
    start_inclusive: String,
    end_exclusive: String,
}

#[derive(Deserialize)]
struct PreviousJson {
    name: String,
    end_time: String,
}

impl OperatorJson {
    /// All logs of the operator, of both interfaces, with the operator's name.
    pub fn logs(&self) -> impl Iterator<Item = (&str, &LogJson)> {
        self.logs.iter().chain(&self.tiled_logs).map(|log| (self.name.as_str(), log))
    }
}

impl LogJson {
    /// The log, checked.
    pub fn read(&self, operator: &str) -> Result<CtLog, SetAsideWhy> {
        let spki = STANDARD.decode(&self.key).map_err(|_| SetAsideWhy::KeyText)?;
        let key = LogKey::from_spki(&spki)?;
        if Sha256::from_base64(&self.log_id) != Some(key.id().0) {
            return Err(SetAsideWhy::Id);
        }
        let mut previous_operators = Vec::new();
        for previous in self.previous_operators.iter().take(PREVIOUS_OPERATORS_MAX) {
            previous_operators.push((previous.name.clone(), previous.end_time.parse()?));
        }
        previous_operators.sort_by_key(|(_, until)| *until);
        let interval = self.temporal_interval.as_ref();
        let interval = interval.map(|interval| {
            Ok::<_, MomentError>((interval.start_inclusive.parse()?, interval.end_exclusive.parse()?))
        });
        Ok(CtLog {
            key,
            description: self.description.clone(),
            operator: operator.to_owned(),
            previous_operators,
            state: self.state.as_ref().map(StateJson::read).transpose()?,
            interface: self.interface(),
            mmd_seconds: self.mmd,
            temporal_interval: interval.transpose()?,
        })
    }

    fn interface(&self) -> Interface {
        match (&self.submission_url, &self.monitoring_url) {
            (Some(submission), Some(monitoring)) => {
                Interface::StaticCt { submission_url: submission.clone(), monitoring_url: monitoring.clone() }
            }
            _ => Interface::Rfc6962 { url: self.url.clone() },
        }
    }
}

impl StateJson {
    fn read(&self) -> Result<State, MomentError> {
        let (kind, since) = match self {
            StateJson::Pending(since) => (StateKind::Pending, since),
            StateJson::Qualified(since) => (StateKind::Qualified, since),
            StateJson::Usable(since) => (StateKind::Usable, since),
            StateJson::Readonly(since) => (StateKind::Readonly, since),
            StateJson::Retired(since) => (StateKind::Retired, since),
            StateJson::Rejected(since) => (StateKind::Rejected, since),
        };
        Ok(State { kind, since: since.timestamp.parse()? })
    }
}
