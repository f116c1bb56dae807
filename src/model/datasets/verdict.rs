use crate::dataset;
use crate::model::ids::{AccountId, Region, RunId};
use crate::model::text::Text;
use crate::model::words::{
    Delivery, Judgement, LaunchSeen, OwnerSource, Posture, RetainedCopies, VerdictBasis,
};
use crate::time::{Date, UtcMillis};

dataset! {
    /// One row per cluster: what all findings conclude.
    pub struct Verdict: "verdict" v 1, key [account_id, region, cluster_id];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster.
    cluster_id: String = "j-…";
    /// Name given at launch.
    name: Option<String> = "text";
    /// State, as listed.
    state: Text = "STARTING … TERMINATED_WITH_ERRORS";
    /// Whether the cluster counts as active.
    active: bool = "true or false";
    /// When the cluster was created.
    created_at: Option<UtcMillis> = "UTC";
    /// The same, for arithmetic.
    created_ms: Option<i64> = "ms since 1970";
    /// When it ended.
    ended_at: Option<UtcMillis> = "UTC";
    /// The same, for arithmetic.
    ended_ms: Option<i64> = "ms since 1970";
    /// The verdict.
    verdict: Judgement = "COMPLIANT, NON_COMPLIANT, UNKNOWN, NO_LOGS";
    /// Whether logs can be written with the key.
    delivery: Delivery = "WORKING, BROKEN, UNKNOWN, NOT_APPLICABLE";
    /// Active or passive, from cluster logs alone.
    posture: Posture = "ACTIVE, PASSIVE_DEFAULT, PASSIVE_AWS_KEY, UNKNOWN, NOT_ARCHIVED";
    /// What the verdict rests on.
    basis: VerdictBasis = "assessed, deferred, carried";
    /// Rules that decided the verdict, a space between.
    decided_by: Text = "rule ids";
    /// For an ended cluster: the run that last saw it alive, whose keys and buckets it is judged by, so
    /// that what happens to them later does not rewrite history.
    stands_from_run: Option<RunId> = "run id";
    /// The verdict by the rules of the run of record before, where changed rules alone make the
    /// difference: no alert, no remediation.
    rule_change: Option<Judgement> = "COMPLIANT, NON_COMPLIANT, UNKNOWN, NO_LOGS";
    /// Whether this run read the event of the cluster's launch; absent where it was not created in the
    /// hours whose events were read.
    launch_event: Option<LaunchSeen> = "found, missing";
    /// Path of organizational unit ids of the account.
    ou_path: Option<Text> = "o-…/r-…/ou-…/";
    /// Owner of the cluster.
    owner: Option<Text> = "text";
    /// Where the owner comes from.
    owner_source: Option<OwnerSource> = "word";
    /// Cost centre of the cluster.
    cost_center: Option<Text> = "text";
    /// Where the cost centre comes from.
    cost_center_source: Option<OwnerSource> = "word";
    /// Business unit of the cluster.
    business_unit: Option<Text> = "text";
    /// Where the business unit comes from.
    business_unit_source: Option<OwnerSource> = "word";
    /// Data classification of the cluster.
    data_classification: Option<Text> = "text";
    /// Where the data classification comes from.
    data_classification_source: Option<OwnerSource> = "word";
    /// What the cluster is one launch of, in its account and Region: value of the configured tag, else
    /// the name with dates, numbers and ids folded. Absent where neither is there.
    lineage: Option<Text> = "text";
    /// Whether AWS keeps copies of the logs in storage of its own (rule EL-07), which no verdict counts.
    retained_copies: Option<RetainedCopies> = "yes, no, unknown";
}
