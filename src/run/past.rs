//! What earlier runs decide of the conclusions of this one.
//!
//! - **Ended clusters.** A cluster that was judged alive and has ended since stands judged by the keys
//!   and buckets of that day: whatever is disabled, shredded or rewritten after a cluster's end does
//!   not rewrite its history. Of the cluster itself (its row, its steps, how its cells ended) the
//!   newest facts count, since a step may have run after the last look. What the old facts left
//!   UNKNOWN stays so: what is read of a key today says nothing of the day before.
//! - **Changed rules.** Clusters of the last run of record whose verdict new rules alone turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::assess::{Answers, LookupError, Lookups};
use crate::model::datasets::{
    Coverage, EmrCluster, EmrSecurityConfiguration, EmrSession, EmrStep, KmsGrant, KmsKey,
    LogBucket, LogGroup, LogObjectSample, LogObjectSummary, Principal, Verdict,
};
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::key_reference::KeyArn;
use crate::model::words::{Judgement, Seen, Settings, Source};
use crate::record::Journal;
use crate::time::UtcMillis;

use super::RunError;
use super::evidence::{Evidence, copy_looked_up};
use super::facts::JournalLookups;
use super::known::Watermarks;
use super::sealed::SealedRun;

/// What is known of earlier runs when clusters are judged.
#[derive(Default)]
pub struct Past {
    /// Looked-up facts of the runs that ended clusters may stand on.
    pub runs: BTreeMap<RunId, Earlier>,
    pub stands: Stands,
    /// Rows of the last run of record that new rules judge otherwise: the verdict of the new rules,
    /// and as `rule_change` that of the old ones.
    pub changed: Option<Journal>,
}

/// The looked-up facts of an earlier run.
pub struct Earlier {
    pub facts: Journal,
    /// When the run started: the "now" of its facts.
    pub as_of: UtcMillis,
}

/// How it is known on which run an ended cluster stands.
#[derive(Default)]
pub enum Stands {
    /// On none.
    #[default]
    Nowhere,
    /// On its watermark, where that judged it alive.
    OnWatermarks(Arc<Watermarks>),
    /// On what these sealed verdicts name.
    AsSealed(Journal),
}

impl Past {
    /// The run on which each ended cluster of an account-region stands.
    pub fn stands(
        &self,
        account: &str,
        region: &str,
        clusters: &[EmrCluster],
    ) -> Result<BTreeMap<String, RunId>, RunError> {
        let mut on: BTreeMap<String, RunId> = match &self.stands {
            Stands::Nowhere => return Ok(BTreeMap::new()),
            Stands::AsSealed(verdicts) => verdicts
                .read_group::<Verdict>(account, region)?
                .into_iter()
                .filter_map(|v| Some((v.cluster_id, v.stands_from_run?)))
                .collect(),
            Stands::OnWatermarks(known) => judged_alive(known, account, region, clusters)?,
        };
        let may = |id: &String| clusters.iter().any(|c| c.cluster_id == *id && may_stand(c));
        on.retain(|id, run| self.runs.contains_key(run) && may(id));
        Ok(on)
    }

    /// Clusters of an account-region that new rules alone judge otherwise: the new verdict and the old.
    pub fn rule_changes(
        &self,
        account: &str,
        region: &str,
    ) -> Result<BTreeMap<String, (Judgement, Judgement)>, RunError> {
        let Some(changed) = &self.changed else {
            return Ok(BTreeMap::new());
        };
        let rows = changed.read_group::<Verdict>(account, region)?;
        let pair = |v: Verdict| Some((v.cluster_id, (v.verdict, v.rule_change?)));
        Ok(rows.into_iter().filter_map(pair).collect())
    }
}

/// Whether a cluster is over, so that nothing that happens now concerns it.
fn may_stand(cluster: &EmrCluster) -> bool {
    !cluster.is_active() && was_read(cluster)
}

fn was_read(cluster: &EmrCluster) -> bool {
    cluster.seen != Seen::NotSeen && cluster.settings != Settings::Deferred
}

fn judged_alive(
    known: &Watermarks,
    account: &str,
    region: &str,
    clusters: &[EmrCluster],
) -> Result<BTreeMap<String, RunId>, RunError> {
    let none = Ok(BTreeMap::new());
    let (Ok(account), Ok(region)) = (account.parse(), region.parse()) else {
        return none;
    };
    let Some(mark) = known.mark(&account, &region) else {
        return none;
    };
    if !clusters.iter().any(may_stand) {
        return none;
    }
    let alive = known.clusters(&account, &region)?.into_iter();
    Ok(alive
        .filter(|c| c.is_active() && was_read(c))
        .map(|c| (c.cluster_id, mark.run_id.clone()))
        .collect())
}

impl Earlier {
    /// Reads the looked-up facts of a sealed run.
    pub async fn load(
        evidence: &Evidence<'_>,
        run: &SealedRun,
        facts: Journal,
    ) -> Result<Self, RunError> {
        let files = run.all_files(evidence.fetch).await?;
        copy_looked_up(evidence, &files, &facts).await?;
        // What was read of identities decides who is nobody.
        let of_identities = |cell: &Coverage| cell.source == Source::Identities;
        evidence.copy(run, &facts, of_identities).await?;
        Ok(Self {
            facts,
            as_of: run.seal.started_at,
        })
    }
}

/// The facts that an ended cluster is judged by: keys and the like as they were, else, where that run
/// held no such row, as they are; what belongs to the cluster as it is.
pub struct AsItStood<'a> {
    then: JournalLookups<'a>,
    now: &'a JournalLookups<'a>,
    answers: Answers,
}

impl<'a> AsItStood<'a> {
    /// `then` first, then `now`.
    pub fn new(then: JournalLookups<'a>, now: &'a JournalLookups<'a>) -> Self {
        Self {
            then,
            now,
            answers: Answers::default(),
        }
    }
}

impl Lookups for AsItStood<'_> {
    fn key(&self, reference: &str) -> Result<Option<Arc<KmsKey>>, LookupError> {
        match self.then.key(reference)? {
            None => self.now.key(reference),
            then => Ok(then),
        }
    }

    fn bucket(&self, name: &str) -> Result<Option<Arc<LogBucket>>, LookupError> {
        match self.then.bucket(name)? {
            None => self.now.bucket(name),
            then => Ok(then),
        }
    }

    fn security_configuration(
        &self,
        account: &AccountId,
        region: &Region,
        name: &str,
    ) -> Result<Option<Arc<EmrSecurityConfiguration>>, LookupError> {
        let then = self.then.security_configuration(account, region, name)?;
        match then {
            None => self.now.security_configuration(account, region, name),
            then => Ok(then),
        }
    }

    fn steps(&self, cluster: &EmrCluster) -> Result<Vec<EmrStep>, LookupError> {
        self.now.steps(cluster)
    }

    fn sessions(&self, cluster: &EmrCluster) -> Result<Vec<EmrSession>, LookupError> {
        self.now.sessions(cluster)
    }

    fn log_group(&self, cluster: &EmrCluster, name: &str) -> Result<Option<LogGroup>, LookupError> {
        match self.then.log_group(cluster, name)? {
            None => self.now.log_group(cluster, name),
            then => Ok(then),
        }
    }

    fn grants(&self, key: &KeyArn) -> Result<Vec<KmsGrant>, LookupError> {
        if self.then.holds_key(key)? {
            self.then.grants(key)
        } else {
            self.now.grants(key)
        }
    }

    fn principals(&self, account: &AccountId) -> Result<Vec<Principal>, LookupError> {
        let identities = |lookups: &JournalLookups<'_>| {
            lookups.cell(account, &Region::global(), Source::Identities)
        };
        match identities(&self.then)? {
            None => self.now.principals(account),
            Some(_) => self.then.principals(account),
        }
    }

    fn answers(&self) -> &Answers {
        &self.answers
    }

    fn elapsed(&self) -> Duration {
        self.now.elapsed()
    }

    fn cell(
        &self,
        account: &AccountId,
        region: &Region,
        source: Source,
    ) -> Result<Option<Arc<Coverage>>, LookupError> {
        // What was read of identities belongs to them; the other cells tell of the cluster.
        if source == Source::Identities
            && let Some(then) = self.then.cell(account, region, source)?
        {
            return Ok(Some(then));
        }
        self.now.cell(account, region, source)
    }

    fn object_samples(&self, cluster: &EmrCluster) -> Result<Vec<LogObjectSample>, LookupError> {
        self.now.object_samples(cluster)
    }

    fn object_summaries(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<Arc<LogObjectSummary>>, LookupError> {
        self.now.object_summaries(bucket, prefix)
    }
}
