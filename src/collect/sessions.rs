//! Spark Connect sessions of clusters that have them enabled: where their logs go.

use crate::collect::account_region::{Here, REFUSALS};
use crate::collect::api::{ErrorClass, ListedSession};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::{Fault, ItemTally};
use crate::collect::lookups::lookup_of;
use crate::collect::operation::Operation;
use crate::collect::scope::text;
use crate::collect::settings::place;
use crate::model::datasets::{EmrCluster, EmrSession};
use crate::model::words::{Lookup, Seen};

impl Here<'_> {
    /// Reads the sessions of every cluster that has them enabled, and notes in its row how that ended.
    pub(super) async fn sessions(
        &self,
        clusters: &mut [EmrCluster],
        budget: &Budget,
    ) -> (Vec<EmrSession>, ItemTally) {
        let mut rows = Vec::new();
        let mut tally = ItemTally::default();
        let mut stopped: Option<CallError> = None;
        let mut refusals = 0;
        for cluster in clusters {
            if cluster.session_enabled != Some(true) || cluster.seen == Seen::NotSeen {
                continue;
            }
            let mut listed = Vec::new();
            let ended = match &stopped {
                Some(error) => Err(error.clone()),
                None => {
                    let id = cluster.cluster_id.as_str();
                    self.sessions_of(id, &mut listed, budget).await
                }
            };
            rows.extend(listed.iter().map(|session| row(cluster, session)));
            match ended {
                Ok(()) => {
                    tally.collected();
                    cluster.sessions_lookup = Some(Lookup::Found);
                    cluster.sessions_error_code = None;
                }
                Err(error) => {
                    let fault = Fault::of(&error);
                    cluster.sessions_lookup = Some(lookup_of(&error));
                    cluster.sessions_error_code.clone_from(&fault.code);
                    tally.failed(error.outcome(), fault);
                    refusals += u32::from(error.class().is_some_and(ErrorClass::is_denied));
                    if refusals >= REFUSALS || error.is_end() {
                        stopped = Some(error);
                    }
                }
            }
        }
        (rows, tally)
    }

    async fn sessions_of(
        &self,
        id: &str,
        into: &mut Vec<ListedSession>,
        budget: &Budget,
    ) -> Result<(), CallError> {
        let region = self.region;
        self.session
            .pages(
                budget,
                region,
                Operation::ListSessions,
                |m, next| async move { m.sessions(region, id, next).await },
                |page| into.extend(page),
            )
            .await
    }
}

fn row(cluster: &EmrCluster, session: &ListedSession) -> EmrSession {
    EmrSession {
        scheduled_for: cluster.scheduled_for,
        account_id: cluster.account_id.clone(),
        region: cluster.region.clone(),
        cluster_id: cluster.cluster_id.clone(),
        session_id: session.id.clone(),
        created_at: session.created_at,
        s3_enabled: session.s3.enabled,
        log_uri: place(&session.s3.place),
        s3_key: text(&session.s3.key),
        cloudwatch_enabled: session.cloudwatch.enabled,
        log_group: text(&session.cloudwatch.place),
        cloudwatch_key: text(&session.cloudwatch.key),
        managed_enabled: session.managed.enabled,
        managed_key: text(&session.managed.key),
    }
}
