//! What stands before a run's start: its scope, the archive's own checks, entry 1, the producer.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::archive::chain::Chain;
use crate::archive::genesis::GenesisRequest;
use crate::archive::protection::is_required;
use crate::archive::store::Store;
use crate::aws::AwsShell;
use crate::collect::api::Cloud;
use crate::collect::attempt::Attempts;
use crate::collect::scope::Scope;
use crate::config::{ArchiveUrl, Config, ScopeMode};
use crate::discover::{self, DiscoverError, ScopeRequest};
use crate::model::datasets::ArchiveCheck;
use crate::model::ids::{AccountId, Sha256Hex};
use crate::model::words::CheckOutcome;
use crate::seal::{ArchiveId, Producer, PublicKey};
use crate::time::Date;

use super::{RunError, exceptions, random};

/// Between the two halves of an archive's scope in entry 1.
const REGIONS: &str = ", regions ";
/// Further off than this, AWS refuses signatures (15 min) or evidence loses its order.
const MOST_CLOCK_OFFSET_MS: i64 = 60_000;

/// The accounts that the run is expected to see.
pub async fn find_scope(
    config: &Config,
    aws: &Arc<AwsShell>,
    attempts: &Attempts,
    date: Date,
) -> Result<Scope, RunError> {
    let mode = match &config.scope {
        ScopeMode::Organization => discover::Mode::Organization {
            expected_id: config.organization_id.clone(),
        },
        ScopeMode::SingleAccount => discover::Mode::SingleAccount,
        ScopeMode::AccountList(path) => discover::Mode::AccountList(account_list(path)?),
    };
    let request = ScopeRequest {
        mode,
        accounts: config.accounts.clone(),
        exclude_accounts: config.exclude_accounts.clone(),
        ous: config.ous.clone(),
        tags: config.tags.clone(),
        exceptions: config.exceptions.clone(),
        scheduled_for: date,
    };
    let now = attempts.clock().now();
    discover::discover(aws.as_ref(), attempts, &request, now)
        .await
        .map_err(|error| match error {
            DiscoverError::Caller(source) => RunError::Caller {
                endpoint: aws.endpoint(),
                source,
            },
            other => other.into(),
        })
}

/// One account id a line; empty lines and lines that begin with `#` are passed over.
fn account_list(path: &Path) -> Result<Vec<AccountId>, RunError> {
    let usage =
        |detail: String| RunError::Usage(format!("account list {}: {detail}", path.display()));
    let text = super::small_text(path).map_err(|e| usage(e.to_string()))?;
    let mut accounts = BTreeSet::new();
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if !text.is_empty() && !text.starts_with('#') {
            let account: AccountId = text
                .parse()
                .map_err(|e| usage(format!("line {line}: {e}")))?;
            accounts.insert(account);
        }
    }
    if accounts.is_empty() {
        return Err(usage("it names no account".to_owned()));
    }
    Ok(accounts.into_iter().collect())
}

pub fn check_clock(aws: &AwsShell) -> Result<(), RunError> {
    match aws.clock_offset_ms() {
        Some(offset) if offset.abs() > MOST_CLOCK_OFFSET_MS => Err(RunError::ClockOff {
            offset_s: offset / 1000,
        }),
        _ => Ok(()),
    }
}

/// Refuses a run that is about something else than the archive: its verdicts would speak for a
/// population that it never saw.
pub fn refuse_other_scope(
    config: &Config,
    chain: &Chain,
    scope: &Scope,
    store: &dyn Store,
) -> Result<(), RunError> {
    let ours = config.scope_words(&scope.caller.account_id);
    let begun_for = chain
        .genesis()
        .map(|g| g.scope.as_str())
        .unwrap_or_default();
    let (mode, _) = begun_for.split_once(REGIONS).unwrap_or((begun_for, ""));
    if mode != ours {
        return Err(RunError::OtherScope {
            url: store.url(),
            archive: mode.to_owned(),
            ours,
        });
    }
    let begun_for = chain.genesis().and_then(|g| g.organization_id.clone());
    match (begun_for, &scope.organization_id) {
        (Some(archive), Some(found)) if archive != *found => Err(RunError::OtherOrganization {
            url: store.url(),
            archive,
            found: found.clone(),
        }),
        _ => Ok(()),
    }
}

pub async fn protections(store: &dyn Store, date: Date) -> Vec<ArchiveCheck> {
    let checks = store.protections().await;
    let row = |p: crate::archive::store::Protection| ArchiveCheck {
        scheduled_for: date,
        check_name: p.check.to_owned(),
        outcome: p.outcome,
        required: is_required(p.check),
        detail: p.detail,
    };
    checks.into_iter().map(row).collect()
}

/// Refuses a bucket that fails what an archive cannot do without, unless the configuration allows it.
/// Gives the names of the checks that failed all the same. What could not be asked refuses nothing: it
/// stands in the evidence as unknown.
pub fn refuse_unprotected(
    config: &Config,
    checks: &[ArchiveCheck],
    url: String,
) -> Result<Vec<String>, RunError> {
    let failed = checks
        .iter()
        .filter(|c| c.outcome == CheckOutcome::Fail && c.required);
    if config.allow_unprotected {
        return Ok(failed.map(|c| c.check_name.clone()).collect());
    }
    let failed: Vec<String> = failed
        .map(|c| format!("{} ({})", c.check_name, c.detail))
        .collect();
    if failed.is_empty() {
        Ok(Vec::new())
    } else {
        let failed = failed.join("; ");
        Err(RunError::Unprotected { url, failed })
    }
}

/// Whether the run looks at the whole configured scope, so that it may become a run of record.
/// Regions named by hand count only where the archive was begun with the same ones.
pub fn is_full_scope(config: &Config, chain: &Chain) -> bool {
    let begun_for = chain
        .genesis()
        .map(|g| g.scope.as_str())
        .unwrap_or_default();
    let regions = begun_for
        .split_once(REGIONS)
        .map_or("", |(_, regions)| regions);
    config.is_whole() && (!config.regions_by_hand || regions == config.region_words())
}

pub fn genesis_request(
    config: &Config,
    checks: &[ArchiveCheck],
    scope: &Scope,
    recovery: Option<PublicKey>,
    producer: Producer,
) -> Result<GenesisRequest, RunError> {
    let lacking: Vec<&str> = checks
        .iter()
        .filter(|c| c.required && c.outcome != CheckOutcome::Pass)
        .map(|c| c.check_name.as_str())
        .collect();
    let protection = match (&config.archive, lacking.is_empty()) {
        (ArchiveUrl::Folder(_), _) => "none".to_owned(),
        (ArchiveUrl::S3 { .. }, true) => "full".to_owned(),
        (ArchiveUrl::S3 { .. }, false) => format!("without {}", lacking.join(", ")),
    };
    Ok(GenesisRequest {
        archive_id: ArchiveId::from_random(random()?),
        organization_id: scope.organization_id.clone(),
        schedule: config.schedule.clone(),
        retention_days: Some(u64::from(config.retention_days)),
        recovery,
        protection,
        scope: format!(
            "{}{REGIONS}{}",
            config.scope_words(&scope.caller.account_id),
            config.region_words()
        ),
        producer,
    })
}

/// Whether the accounts that the run knows are all of ours, so that any other owner is a foreigner.
pub fn has_account_list(config: &Config) -> bool {
    config.scope != ScopeMode::SingleAccount
}

/// The configuration that rules read, in full: with it and the facts, findings can be recomputed.
pub fn rule_inputs(config: &Config) -> serde_json::Value {
    serde_json::json!({
        "rules": config.rules,
        "has_account_list": has_account_list(config),
        "waivers": exceptions::sealed(&exceptions::waivers(&config.exceptions)),
    })
}

pub fn producer(config: &Config, scope: &Scope) -> Producer {
    let inputs = crate::model::canonical::to_string(&rule_inputs(config));
    let caller_arn = Some(scope.caller.arn.clone());
    super::producer(Sha256Hex::of(inputs.as_bytes()), caller_arn)
}
