//! Everything regional that one account owns in one Region.

use super::beside::LogGroup;
use super::clusters::{Cluster, Recipe};
use super::keys::{Alias, Key};
use super::security_configurations::SecurityConfiguration;

/// One account in one Region.
#[derive(Debug, Clone)]
pub struct AccountRegion {
    pub account_id: String,
    pub region: &'static str,
    pub keys: Vec<Key>,
    pub aliases: Vec<Alias>,
    pub security_configurations: Vec<SecurityConfiguration>,
    pub recipes: Vec<Recipe>,
    /// By name.
    pub log_groups: Vec<LogGroup>,
    /// Newest first, as EMR lists them.
    clusters: Vec<Cluster>,
    /// Indices into `clusters`, in the order of cluster ids.
    by_id: Vec<u32>,
}

impl AccountRegion {
    pub(super) fn new(account_id: &str, region: &'static str) -> Self {
        Self {
            account_id: account_id.to_owned(),
            region,
            keys: Vec::new(),
            aliases: Vec::new(),
            security_configurations: Vec::new(),
            recipes: Vec::new(),
            log_groups: Vec::new(),
            clusters: Vec::new(),
            by_id: Vec::new(),
        }
    }

    /// All clusters of the simulation, past and future, newest first.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    pub(super) fn set_clusters(&mut self, mut clusters: Vec<Cluster>) {
        clusters.sort_by(|a, b| {
            b.created_ms
                .cmp(&a.created_ms)
                .then_with(|| a.id.cmp(&b.id))
        });
        let mut by_id: Vec<u32> = (0..clusters.len() as u32).collect();
        by_id.sort_by(|a, b| clusters[*a as usize].id.cmp(&clusters[*b as usize].id));
        self.clusters = clusters;
        self.by_id = by_id;
    }

    /// Changes clusters, and drops those of which `change` says so by `false`.
    pub(super) fn change_clusters(&mut self, mut change: impl FnMut(&mut Cluster) -> bool) {
        let mut clusters = std::mem::take(&mut self.clusters);
        clusters.retain_mut(|cluster| change(cluster));
        self.set_clusters(clusters);
    }

    /// Moves the end of a cluster, if it is one of these.
    pub(super) fn end_cluster(&mut self, id: &str, at_ms: i64) -> bool {
        let cluster = self.clusters.iter_mut().find(|cluster| cluster.id == id);
        if let Some(cluster) = cluster {
            cluster.ended_ms = Some(at_ms);
            return true;
        }
        false
    }

    /// The cluster of an id, whether or not EMR still shows it.
    pub fn cluster(&self, id: &str) -> Option<&Cluster> {
        let at = |index: &u32| &self.clusters[*index as usize];
        let found = self
            .by_id
            .binary_search_by(|index| at(index).id.as_str().cmp(id))
            .ok()?;
        Some(at(&self.by_id[found]))
    }

    /// What a cluster of this account-region was launched with.
    pub fn recipe(&self, cluster: &Cluster) -> &Recipe {
        &self.recipes[cluster.recipe]
    }

    /// The security configuration of a name.
    pub fn security_configuration(&self, name: &str) -> Option<&SecurityConfiguration> {
        let mut all = self.security_configurations.iter();
        all.find(|configuration| configuration.name == name)
    }

    /// The key of an id.
    pub fn key(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// The alias of a name (with `alias/`).
    pub fn alias(&self, name: &str) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.name == name)
    }
}
