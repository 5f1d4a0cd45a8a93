//! The chain: plugins in the registry's order, and the right to go one step down, once.

use std::sync::Arc;
use std::time::Instant;

use crate::error::{ServeError, StartError};
use crate::plugin::{Glance, Plugin};
use crate::query::Query;
use crate::response::Response;
use crate::validator::Validator;
use crate::view::QueryView;

/// The plugins of one server block.
#[derive(Clone)]
pub struct Chain {
    plugins: Arc<[Arc<dyn Plugin>]>,
}

/// The rest of the chain behind a plugin, for one query.
pub struct Next {
    plugins: Arc<[Arc<dyn Plugin>]>,
    at: usize,
}

/// The rest of the chain behind a plugin, for queries that the plugin asks by itself: refreshes, lookups for peers.
#[derive(Clone)]
pub struct Rest {
    plugins: Arc<[Arc<dyn Plugin>]>,
    at: usize,
}

impl Chain {
    /// A chain of `plugins`, which stand in the registry's order.
    pub fn new(plugins: Vec<Arc<dyn Plugin>>) -> Chain {
        Chain { plugins: plugins.into() }
    }

    /// The plugins, first to last.
    pub fn plugins(&self) -> &[Arc<dyn Plugin>] {
        &self.plugins
    }

    /// Shows the query to each plugin until one says more than `Pass`, which is returned. At the end of the chain stands `Ask`.
    pub fn glance(&self, query: &QueryView<'_>, reply: &mut Vec<u8>, received: Instant) -> Glance {
        for (at, plugin) in self.plugins.iter().enumerate() {
            let glance = plugin.glance(query, reply);
            match glance {
                Glance::Pass => continue,
                Glance::Ask => return Glance::Ask,
                Glance::Silent => reply.clear(),
                Glance::Answered => {
                    self.plugins[..at].iter().rev().for_each(|passed| passed.shape(query, reply));
                }
            }
            let elapsed = received.elapsed();
            self.plugins[..at].iter().for_each(|passed| passed.glanced(query, reply, elapsed));
            return glance;
        }
        Glance::Ask
    }

    /// Sends the query down the chain.
    pub async fn serve(&self, query: &Query) -> Result<Response, ServeError> {
        Next { plugins: self.plugins.clone(), at: 0 }.serve(query).await
    }

    /// Lets every plugin open what takes a privilege.
    ///
    /// Errors: the first plugin that cannot.
    pub fn open(&self) -> Result<(), StartError> {
        self.plugins.iter().try_for_each(|plugin| plugin.open())
    }

    /// Starts every plugin, last to first, so that each finds what it asks running.
    ///
    /// Errors: the first plugin that cannot start; those already started are stopped again.
    pub fn start(&self) -> Result<(), StartError> {
        for at in (0..self.plugins.len()).rev() {
            if let Err(error) = self.plugins[at].start(Rest { plugins: self.plugins.clone(), at: at + 1 }) {
                self.plugins[at + 1..].iter().for_each(|started| started.stop());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Stops every plugin, first to last.
    pub fn stop(&self) {
        self.plugins.iter().for_each(|plugin| plugin.stop());
    }

    /// Returns when what the plugins ran has ended, after a stop.
    pub async fn stopped(&self) {
        for plugin in self.plugins.iter() {
            plugin.stopped().await;
        }
    }
}

impl Next {
    /// Asks the rest of the chain. At its end stands `ServeError::NoPlugin`.
    pub async fn serve(self, query: &Query) -> Result<Response, ServeError> {
        let Some(plugin) = self.plugins.get(self.at).cloned() else {
            return Err(ServeError::NoPlugin);
        };
        plugin.serve(query, Next { plugins: self.plugins, at: self.at + 1 }).await
    }

    /// The same right for later use, for a plugin that answers now and refreshes behind.
    pub fn rest(&self) -> Rest {
        Rest { plugins: self.plugins.clone(), at: self.at }
    }

    /// The right to ask from the plugin `name` on, if it stands earlier in the chain, else from here: for a plugin that follows
    /// an alias to a name that an earlier source of data may hold.
    pub fn rest_since(&self, name: &str) -> Rest {
        let earlier =
            self.plugins[..self.at.min(self.plugins.len())].iter().position(|plugin| plugin.name() == name);
        Rest { plugins: self.plugins.clone(), at: earlier.unwrap_or(self.at) }
    }
}

impl Rest {
    /// A right to ask, for one query.
    pub fn next(&self) -> Next {
        Next { plugins: self.plugins.clone(), at: self.at }
    }

    /// Who judges operations beside DNS questions in the rest of the chain: the first that does.
    pub fn validator(&self) -> Option<Arc<dyn Validator>> {
        self.plugins[self.at.min(self.plugins.len())..].iter().find_map(|plugin| plugin.validator())
    }

    /// The names of the plugins in the rest of the chain.
    pub fn names(&self) -> Vec<&'static str> {
        self.plugins[self.at.min(self.plugins.len())..].iter().map(|plugin| plugin.name()).collect()
    }
}
