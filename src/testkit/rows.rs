use crate::model::datasets::{
    Account, Channel, Coverage, KmsKey, Launch, LogBucket, LogObjectSummary, Reencryption, Run,
    TrailReading, Verdict,
};
use crate::model::ids::{AccountId, Region};
use crate::model::text::Text;
use crate::model::words::{
    AttemptBucket, CellOutcome, Delivery, Encryption, EventSource, Judgement, LaunchClass, Lookup,
    Meets, Population, Posture, Reencrypted, RunOutcome, Source, TrailOutcome, VerdictBasis,
};
use crate::time::{Date, HOUR_MS, UtcMillis};

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
        operations: None,
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
        launch_event: None,
        scheduled_for: Date::from_days(20_000),
        account_id: "111122223333".parse().expect("account"),
        region: "eu-west-1".parse().expect("region"),
        cluster_id: cluster.to_owned(),
        name: None,
        state: Text::default(),
        active,
        created_at: None,
        created_ms: None,
        ended_at: None,
        ended_ms: None,
        verdict,
        delivery: Delivery::Working,
        posture: Posture::Active,
        basis: VerdictBasis::Assessed,
        decided_by: Text::default(),
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

/// A COMPLETE run that began at `started_at`, for that date.
///
/// # Panics
/// Never: its id is well formed.
pub fn run(started_at: UtcMillis) -> Run {
    Run {
        scheduled_for: started_at.date(),
        run_id: "20261124T020003Z-7f3a".parse().expect("run id"),
        started_at,
        started_ms: started_at.0,
        ended_at: started_at.plus_ms(1),
        outcome: RunOutcome::Complete,
        late: false,
        organization_id: None,
        caller_arn: None,
        program_version: "0".to_owned(),
        rules_version: "0".to_owned(),
        accounts_listed: 0,
        accounts_in_scope: 0,
        accounts_answered: 0,
        cells: 0,
        cells_open: 0,
        clusters: 0,
        calls: 0,
        throttles: 0,
        own_operations: None,
        clock_offset_ms: None,
    }
}

/// An active account of the scope of which nothing else is known.
pub fn account(id: AccountId) -> Account {
    Account {
        scheduled_for: Date::from_days(20_000),
        account_id: id,
        name: None,
        state: Some("ACTIVE".to_owned()),
        ou_path: None,
        management: false,
        in_scope: true,
        left_out_because: None,
        joined_at: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

/// A launch that was throttled, of which nothing else is known.
pub fn launch(account: AccountId, region: Region, event_id: &str, at: UtcMillis) -> Launch {
    Launch {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        event_id: event_id.to_owned(),
        event_at: at,
        event_ms: at.0,
        read_from: EventSource::LookupEvents,
        shared_event_id: None,
        late: false,
        cluster_id: None,
        name: None,
        lineage: None,
        caller_arn: None,
        caller_account_id: None,
        invoked_by: None,
        attempt_id: event_id.to_owned(),
        error_code: None,
        denied_action: None,
        denied_by: None,
        denied_by_policy: None,
        guardrail: None,
        params_available: true,
        log_uri: None,
        log_key: None,
        security_configuration: None,
        security_configuration_approved: None,
        release_label: None,
        tag_owner: None,
        tag_cost_center: None,
        tag_business_unit: None,
        parameters_meet: Meets::Unknown,
        class: LaunchClass::Throttled,
        bucket: AttemptBucket::None,
        population: Population::NotApplicable,
        ou_path: None,
        owner: None,
        cost_center: None,
        business_unit: None,
    }
}

/// An hour of a trail that digest files validate.
pub fn trail_reading(account: AccountId, region: Region, from: UtcMillis) -> TrailReading {
    TrailReading {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        from_at: from,
        from_ms: from.0,
        to_ms: from.plus_ms(HOUR_MS).0,
        outcome: TrailOutcome::Validated,
        reason: None,
        file: None,
        files_wanting: 0,
        digests: 1,
        files: 1,
        bytes: 1_000,
        records: 10,
        records_unreadable: 0,
    }
}

/// An enabled customer key of which nothing else is known; `arn` is reference and key.
pub fn kms_key(account: AccountId, region: Region, arn: &str) -> KmsKey {
    KmsKey {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        key_reference: arn.to_owned(),
        lookup: Lookup::Found,
        error_code: None,
        denied_action: None,
        key_arn: Some(arn.to_owned()),
        manager: Some("CUSTOMER".to_owned()),
        state: Some("Enabled".to_owned()),
        usage: None,
        spec: None,
        origin: None,
        multi_region: None,
        created_at: None,
        deletion_at: None,
        material_expires_at: None,
        customer_proof: None,
        aliases: None,
        alias_updated_at: None,
        grants_lookup: Lookup::NotAttempted,
        grants_error_code: None,
        grants: None,
        policy_lookup: Lookup::NotAttempted,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        rotation_lookup: Lookup::NotAttempted,
        rotation_enabled: None,
        rotation_period_days: None,
        tags_lookup: Lookup::NotAttempted,
        owner: None,
        cost_center: None,
        business_unit: None,
        data_classification: None,
        looked_up_at: UtcMillis(1),
    }
}

/// A bucket that was found, of which nothing else is known.
pub fn log_bucket(account: AccountId, region: Region, bucket: &str) -> LogBucket {
    LogBucket {
        scheduled_for: Date::from_days(20_000),
        account_id: Some(account),
        region: Some(region),
        bucket: bucket.to_owned(),
        lookup: Lookup::Found,
        error_code: None,
        denied_action: None,
        default_algorithm: None,
        default_key: None,
        bucket_key: None,
        versioning: None,
        policy_lookup: Lookup::NotAttempted,
        policy_error_code: None,
        policy_json: None,
        policy_sha256: None,
        settings_lookup: Lookup::NotAttempted,
        ownership: None,
        object_lock: None,
        public_access_blocked: None,
        lifecycle_rules: None,
        expires_after_days: None,
        replication_rules: None,
        replicates_to: None,
        inventories: None,
        metadata_table: None,
        looked_up_at: UtcMillis(1),
    }
}

/// The channel C1 of a cluster under a key.
pub fn channel(account: AccountId, region: Region, cluster: &str, key_arn: &str) -> Channel {
    Channel {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        cluster_id: cluster.to_owned().into(),
        channel: "C1".into(),
        destination: "s3://logs/".into(),
        destination_bucket: Some("logs".into()),
        requested_key: Some(key_arn.to_owned().into()),
        key_reference: Some(key_arn.to_owned().into()),
        key_arn: Some(key_arn.to_owned().into()),
        effective_encryption: Encryption::CustomerKey,
        sources: None,
        basis: "log_key".into(),
    }
}

/// What a job under way has moved to a wanted key so far, known by its completion report.
pub fn reencryption(account: AccountId, region: Region, bucket: &str, job: &str) -> Reencryption {
    Reencryption {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        bucket: bucket.to_owned(),
        evidence: job.to_owned(),
        shown_by: Reencrypted::CompletionReport,
        target_key: "arn:aws:kms:eu-west-1:111122223333:key/wanted".to_owned(),
        target_wanted: Some(true),
        operation: None,
        status: None,
        started_at: UtcMillis(1),
        ended_at: None,
        ended_ms: None,
        versions_total: 0,
        versions_moved: None,
        bytes_moved: None,
        versions_rotated: None,
        bytes_rotated: None,
        versions_unknown: None,
        versions_failed: None,
        failure_code: None,
        bytes_left_behind: None,
    }
}

/// Current versions below a prefix that lie so encrypted.
pub fn log_object_summary(
    account: AccountId,
    region: Region,
    bucket: &str,
    prefix: &str,
    encryption: &str,
) -> LogObjectSummary {
    LogObjectSummary {
        scheduled_for: Date::from_days(20_000),
        account_id: account,
        region,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        encryption: encryption.to_owned(),
        key_arn: None,
        is_latest: true,
        versions: 0,
        bytes: Some(0),
        source: "inventory".to_owned(),
        as_of_at: None,
        complete: Some(true),
    }
}
