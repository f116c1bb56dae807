//! CloudWatch log groups that clusters and sessions name, each asked once per run. A group lies in the
//! account and Region of the cluster that names it.

use std::collections::BTreeSet;

use crate::collect::account_region::{Here, REFUSALS};
use crate::collect::api::{DescribedLogGroup, ErrorClass};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::{Fault, ItemTally};
use crate::collect::lookups::lookup_of;
use crate::collect::operation::Operation;
use crate::collect::scope::text;
use crate::model::datasets::{EmrCluster, EmrSession, LogGroup};
use crate::model::words::{Lookup, Seen};

/// The groups to ask for.
pub(super) fn named(clusters: &[EmrCluster], sessions: &[EmrSession]) -> BTreeSet<String> {
    let seen = clusters.iter().filter(|c| c.seen != Seen::NotSeen);
    let of_clusters = seen.filter_map(EmrCluster::log_group);
    let on = sessions
        .iter()
        .filter(|s| s.cloudwatch_enabled == Some(true));
    let of_sessions = on.filter_map(|s| s.log_group.clone());
    of_clusters.chain(of_sessions).collect()
}

impl Here<'_> {
    /// Asks for every group.
    pub(super) async fn log_groups(
        &self,
        names: &BTreeSet<String>,
        budget: &Budget,
    ) -> (Vec<LogGroup>, ItemTally) {
        let mut rows = Vec::new();
        let mut tally = ItemTally::default();
        let mut stopped: Option<CallError> = None;
        let (mut refusals, mut answered) = (0, false);
        for name in names {
            let answer = match &stopped {
                Some(error) => Err(error.clone()),
                None => self.log_group(name, budget).await,
            };
            let mut row = self.blank_group(name);
            match answer {
                Ok(found) => {
                    tally.collected();
                    answered = true;
                    row.lookup = found.as_ref().map_or(Lookup::NotFound, |_| Lookup::Found);
                    row.created_at = found.as_ref().and_then(|g| g.created_at);
                    row.kms_key = found.and_then(|g| text(&g.kms_key));
                }
                Err(error) => {
                    let fault = Fault::of(&error);
                    row.lookup = lookup_of(&error);
                    row.error_code.clone_from(&fault.code);
                    row.denied_action.clone_from(&fault.denied_action);
                    tally.failed(error.outcome(), fault);
                    refusals += u32::from(error.class().is_some_and(ErrorClass::is_denied));
                    let hopeless = refusals >= REFUSALS && !answered;
                    if stopped.is_none() && (hopeless || error.is_end()) {
                        stopped = Some(error);
                    }
                }
            }
            rows.push(row);
        }
        (rows, tally)
    }

    /// The group of exactly this name; every other one that begins so is passed over.
    async fn log_group(
        &self,
        name: &str,
        budget: &Budget,
    ) -> Result<Option<DescribedLogGroup>, CallError> {
        let region = self.region;
        let mut found = None;
        self.session
            .pages_until(
                budget,
                region,
                Operation::DescribeLogGroups,
                |m, next| async move { m.log_groups(region, name, next).await },
                |page: Vec<DescribedLogGroup>| {
                    found = page.into_iter().find(|group| group.name == name);
                    found.is_some()
                },
            )
            .await?;
        Ok(found)
    }

    fn blank_group(&self, name: &str) -> LogGroup {
        LogGroup {
            scheduled_for: self.account.scheduled_for,
            account_id: self.account.account_id.clone(),
            region: self.region.clone(),
            log_group: name.to_owned(),
            lookup: Lookup::NotAttempted,
            error_code: None,
            denied_action: None,
            kms_key: None,
            created_at: None,
            looked_up_at: self.run.now(),
        }
    }
}
