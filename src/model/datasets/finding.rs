use crate::dataset;
use crate::model::ids::{AccountId, Region};
use crate::model::text::Text;
use crate::model::words::{Outcome, OwnerSource, RuleKind, Severity};
use crate::time::Date;

dataset! {
    /// One row per rule and subject: what the rule concluded.
    pub struct Finding: "finding" v 1, key [account_id, region, cluster_id, rule, subject];
    /// Date the run speaks for.
    scheduled_for: Date = "UTC date";
    /// Account of the cluster.
    account_id: AccountId = "12 digits";
    /// Region of the cluster.
    region: Region = "Region";
    /// The cluster.
    cluster_id: Text = "j-…";
    /// The rule.
    rule: Text = "EL-01 …";
    /// Whether the rule protects, delivers or advises.
    rule_kind: RuleKind = "P, D, A";
    /// How bad a failure is.
    severity: Severity = "low, medium, high";
    /// What the rule concluded.
    outcome: Outcome = "PASS, FAIL, UNKNOWN, NOT_APPLICABLE";
    /// Kind of the subject.
    subject_kind: Text = "cluster, key, bucket, …";
    /// The subject: an ARN where it has one, else its id.
    subject: Text = "ARN or id";
    /// Why, as a fixed word.
    reason: Text = "word";
    /// Parameters of the reason.
    params_json: Text = "canonical JSON";
    /// Facts that the rule read: `<dataset>/<primary key>`, a space between.
    facts: Text = "fact ids";
    /// What a person can do; absent for PASS and NOT_APPLICABLE.
    advice: Option<Text> = "one sentence";
    /// Waiver that covers this finding.
    waived_by: Option<String> = "exception id";
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
}
