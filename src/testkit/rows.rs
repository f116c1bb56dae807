use crate::model::datasets::{Coverage, Verdict};
use crate::model::ids::{AccountId, Region};
use crate::model::words::{CellOutcome, Delivery, Judgement, Posture, Source, VerdictBasis};
use crate::time::{Date, UtcMillis};

/// The row of a cell that was collected with one call. Tests change what they are about.
pub fn coverage(account: AccountId, region: Region, source: Source) -> Coverage {
    Coverage {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        source,
        outcome: CellOutcome::Collected,
        accepted_by: None,
        items_expected: None,
        items_collected: None,
        items_locked: None,
        items_failed: None,
        error_code: None,
        denied_action: None,
        watermark_run: None,
        watermark_at: None,
        observed_from_ms: None,
        observed_to_ms: None,
        calls: 1,
        retries: 0,
        throttles: 0,
        request_id: None,
        started_at: UtcMillis(1),
        ended_at: UtcMillis(2),
    }
}

/// The verdict on a cluster of account 111122223333 in eu-west-1 of which nothing else is known, with
/// working delivery. Tests change what they are about.
///
/// # Panics
/// Never: its account, Region and date are well formed.
pub fn verdict(cluster: &str, verdict: Judgement, active: bool) -> Verdict {
    Verdict {
        scheduled_for: Date::from_days(20_000),
        account_id: "111122223333".parse().expect("account"),
        region: "eu-west-1".parse().expect("region"),
        cluster_id: cluster.to_owned(),
        name: None,
        state: String::new(),
        active,
        created_at: None,
        created_ms: None,
        ended_at: None,
        ended_ms: None,
        verdict,
        delivery: Delivery::Working,
        posture: Posture::Active,
        basis: VerdictBasis::Assessed,
        decided_by: String::new(),
        stands_from_run: None,
        rule_change: None,
        ou_path: None,
        owner: None,
        owner_source: None,
        cost_center: None,
        cost_center_source: None,
        business_unit: None,
        business_unit_source: None,
        data_classification: None,
        data_classification_source: None,
        lineage: None,
        retained_copies: None,
    }
}
