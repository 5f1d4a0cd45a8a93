//! Numbers of background work, looked up when metrics are read: by server block, and none of blocks that are gone.
//!
//! While a reload goes on, the blocks of before and after both work for some seconds. What is counted is the sum of both; how things stand
//! is told of the newer ones alone. What a block has counted stays counted when it is gone: a counter never goes back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ct_watch::Watch;
use ct_watch::monitor::Monitor;
use ct_watch::probe::Prober;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use transparency::operation::InputKind;

use super::background::Background;
use super::handler::Core;
use crate::metrics::Metrics;
use crate::setup::Context;

/// Where the numbers of one block stand among those of all.
pub struct Numbers {
    blocks: Blocks,
    zones: String,
    /// The same for all blocks of one configuration, larger for later ones.
    generation: u64,
}

/// All blocks that work, shared by all configurations.
#[derive(Clone, Default)]
struct Blocks {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    generations: u64,
    working: Vec<Block>,
    /// What blocks that are gone have counted, by metric.
    past: BTreeMap<&'static str, Series>,
}

struct Block {
    zones: String,
    generation: u64,
    core: Weak<Core>,
}

/// Numbers by zones of the block and word.
type Series = BTreeMap<(String, &'static str), u64>;

impl Numbers {
    /// The numbers of the block for these zones, in the configuration that `context` belongs to.
    pub fn new(context: &Context, zones: String) -> Numbers {
        let blocks = Blocks::of(&context.metrics);
        let next = {
            let mut state = blocks.state();
            state.generations += 1;
            state.generations
        };
        // The first block of a configuration claims the number for all.
        let claimed = context.claim("ct-verify numbers".to_owned(), next.to_string());
        let generation = match claimed {
            Ok(()) => next,
            Err(first) => first.parse().expect("numbers alone are claimed"),
        };
        Numbers { blocks, zones, generation }
    }

    /// From now on the numbers of this block are told.
    pub fn begin(&self, core: &Arc<Core>) {
        let (zones, core) = (self.zones.clone(), Arc::downgrade(core));
        self.blocks.state().working.push(Block { zones, generation: self.generation, core });
    }

    /// What this block has counted is kept; how things stand is told no more.
    pub fn end(&self, core: &Core) {
        let mut state = self.blocks.state();
        let State { working, past, .. } = &mut *state;
        let Some(at) = working.iter().position(|block| std::ptr::eq(block.core.as_ptr(), core)) else {
            return;
        };
        let block = working.swap_remove(at);
        for metric in METRICS.iter().filter(|metric| metric.reading == Reading::Count) {
            metric.add(&block.zones, core, past.entry(metric.name).or_default());
        }
    }
}

impl Blocks {
    /// Those whose numbers stand in this registry; puts them there.
    fn of(metrics: &Metrics) -> Blocks {
        let registered = |metric: &'static Of, blocks: Blocks| {
            metrics.metric(metric.name, metric.help, || Told { metric, blocks }).blocks
        };
        let blocks = registered(&METRICS[0], Blocks::default());
        for metric in &METRICS[1..] {
            registered(metric, blocks.clone());
        }
        blocks
    }

    fn series(&self, metric: &Of) -> Series {
        let (working, mut series) = self.told_of(metric);
        working.iter().for_each(|(zones, core)| metric.add(zones, core, &mut series));
        series
    }

    /// The blocks whose numbers are told now, with what is past. A block that ends meanwhile is counted: it is held, and not past here.
    fn told_of(&self, metric: &Of) -> (Vec<(String, Arc<Core>)>, Series) {
        let state = self.state();
        let newest = state.working.iter().map(|block| block.generation).max();
        let is_told = |block: &&Block| metric.reading == Reading::Count || Some(block.generation) == newest;
        let told = state.working.iter().filter(is_told);
        let working = told.filter_map(|block| Some((block.zones.clone(), block.core.upgrade()?))).collect();
        (working, state.past.get(metric.name).cloned().unwrap_or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A metric as the registry has it.
#[derive(Clone)]
struct Told {
    metric: &'static Of,
    blocks: Blocks,
}

impl fmt::Debug for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.metric.name)
    }
}

impl EncodeMetric for Told {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for ((zones, word), number) in self.blocks.series(self.metric) {
            let mut labels = vec![("zones", zones)];
            labels.extend(self.metric.label.map(|label| (label, word.to_owned())));
            let mut series = encoder.encode_family(&labels)?;
            match self.metric.reading {
                Reading::Count => series.encode_counter::<NoLabelSet, u64, f64>(&number, None)?,
                Reading::Sum | Reading::Time => {
                    series.encode_gauge(&i64::try_from(number).unwrap_or(i64::MAX))?;
                }
            }
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.blocks.series(self.metric).is_empty()
    }

    fn metric_type(&self) -> MetricType {
        match self.metric.reading {
            Reading::Count => MetricType::Counter,
            Reading::Sum | Reading::Time => MetricType::Gauge,
        }
    }
}

/// What a metric is a number of.
struct Of {
    name: &'static str,
    help: &'static str,
    /// What tells the series of one block from one another. The words are those of this program, so there are few.
    label: Option<&'static str>,
    reading: Reading,
    numbers: fn(&Core, &Background) -> Vec<(&'static str, u64)>,
}

/// What blocks with the same zones make together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// A sum that never goes back.
    Count,
    /// A sum of how things stand.
    Sum,
    /// The latest time.
    Time,
}

impl Of {
    fn add(&self, zones: &str, core: &Core, series: &mut Series) {
        let Some(background) = core.background() else { return };
        for (word, number) in (self.numbers)(core, &background) {
            let sum = series.entry((zones.to_owned(), word)).or_default();
            *sum = match self.reading {
                Reading::Count | Reading::Sum => sum.saturating_add(number),
                Reading::Time => number.max(*sum),
            };
        }
    }
}

fn of_watch(background: &Background, numbers: impl Fn(&Watch) -> Words) -> Vec<(&'static str, u64)> {
    numbers(background.watch()).into_iter().collect()
}

fn of_prober(background: &Background, numbers: impl Fn(&Prober) -> Words) -> Vec<(&'static str, u64)> {
    background.prober().map(|prober| numbers(prober)).into_iter().flatten().collect()
}

fn of_monitor(background: &Background, numbers: impl Fn(&Monitor) -> Words) -> Vec<(&'static str, u64)> {
    background.monitor().map(|monitor| numbers(monitor)).into_iter().flatten().collect()
}

type Words = BTreeMap<&'static str, u64>;

/// Numbers of things in memory.
fn wide(counts: BTreeMap<&'static str, usize>) -> Words {
    counts.into_iter().map(|(word, count)| (word, count as u64)).collect()
}

/// When the log list in use was made, and when each input came into force, in seconds since 1970.
fn input_times(core: &Core, _: &Background) -> Vec<(&'static str, u64)> {
    let list = core.materials(core.clock.now()).log_list.clone();
    let made = list.map(|list| ("log_list_made", list.value.identity().timestamp.seconds()));
    let since = |kind: InputKind| Some((kind.word(), core.in_force.now(kind)?.time_ms / 1000));
    made.into_iter().chain(InputKind::ALL.into_iter().filter_map(since)).collect()
}

static METRICS: [Of; 11] = [
    Of {
        name: "quorate_ct_input_timestamp_seconds",
        help: "When the log list in use was made, and when the cluster put each input in force",
        label: Some("input"),
        reading: Reading::Time,
        numbers: input_times,
    },
    Of {
        name: "quorate_ct_background_events",
        help: "What background work met, by code",
        label: Some("code"),
        reading: Reading::Count,
        numbers: |_, background| of_watch(background, Watch::counters),
    },
    Of {
        name: "quorate_ct_logs",
        help: "Logs by the condition they are in",
        label: Some("condition"),
        reading: Reading::Sum,
        numbers: |_, background| {
            of_watch(background, |watch| watch.logs().map(|logs| wide(logs.conditions())).unwrap_or_default())
        },
    },
    Of {
        name: "quorate_ct_audits",
        help: "Promises of logs that are looked into, by what was found",
        label: Some("state"),
        reading: Reading::Sum,
        numbers: |_, background| {
            of_watch(background, |watch| {
                watch.logs().map(|logs| wide(logs.auditor().counts())).unwrap_or_default()
            })
        },
    },
    Of {
        name: "quorate_ct_evidence",
        help: "Proofs that a log shows two trees",
        label: None,
        reading: Reading::Sum,
        numbers: |_, background| {
            let logs = background.watch().logs();
            logs.map(|logs| ("", logs.evidence().count() as u64)).into_iter().collect()
        },
    },
    Of {
        name: "quorate_ct_monitored",
        help: "What the monitor read in logs and of certspotter",
        label: Some("what"),
        reading: Reading::Count,
        numbers: |_, background| {
            of_monitor(background, |monitor| {
                monitor.counts().into_iter().filter(|(what, _)| *what != "bytes").collect()
            })
        },
    },
    Of {
        name: "quorate_ct_monitored_bytes",
        help: "Bytes of entries that the monitor read",
        label: None,
        reading: Reading::Count,
        numbers: |_, background| {
            let counts = background.monitor().map(|monitor| monitor.counts());
            counts.map(|counts| ("", counts.get("bytes").copied().unwrap_or(0))).into_iter().collect()
        },
    },
    Of {
        name: "quorate_ct_monitored_logs",
        help: "Logs that the monitor follows, by how that goes",
        label: Some("state"),
        reading: Reading::Sum,
        numbers: |_, background| of_monitor(background, |monitor| wide(monitor.log_states())),
    },
    Of {
        name: "quorate_ct_probe_looks",
        help: "Looks at servers, by what came of them",
        label: Some("result"),
        reading: Reading::Count,
        numbers: |_, background| of_prober(background, Prober::looks),
    },
    Of {
        name: "quorate_ct_probe_outcomes",
        help: "Decisions of the cluster on servers, by what they mean here",
        label: Some("outcome"),
        reading: Reading::Count,
        numbers: |_, background| of_prober(background, Prober::outcomes),
    },
    Of {
        name: "quorate_ct_probe_targets",
        help: "Servers that are looked at, by what the newest decision on each means here",
        label: Some("outcome"),
        reading: Reading::Sum,
        numbers: |_, background| of_prober(background, Prober::states),
    },
];

#[cfg(test)]
mod tests {
    use super::super::tests::plugin;
    use super::*;
    use crate::chain::Chain;
    use crate::plugin::Plugin;

    #[tokio::test]
    async fn block_that_ends_while_metrics_are_read_is_counted_once() {
        let plugin = Arc::new(plugin("audit off"));
        let chain = Chain::new(vec![plugin.clone() as Arc<dyn Plugin>]);
        chain.start().unwrap();
        plugin.core.background().unwrap().watch().context().events.count("heads_verified");
        let blocks = plugin.core.numbers.blocks.clone();
        let metric = METRICS.iter().find(|metric| metric.name == "quorate_ct_background_events").unwrap();
        let count = |series: &Series| {
            series.iter().find(|((_, code), _)| *code == "heads_verified").map(|(_, count)| *count)
        };
        let (working, mut series) = blocks.told_of(metric);
        chain.stop();
        drop((chain, plugin));
        working.iter().for_each(|(zones, core)| metric.add(zones, core, &mut series));
        assert_eq!(count(&series), Some(1));
        assert_eq!(count(&blocks.series(metric)), Some(1));
    }
}
