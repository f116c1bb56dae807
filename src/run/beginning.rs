//! What stands before a run's start: its scope, the archive's own checks, entry 1, the producer.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::archive::genesis::{self, GenesisRequest};
use crate::archive::signer::Signer;
use crate::archive::starts::{self, Begun, StartRequest};
use crate::archive::store::Store;
use crate::aws::AwsShell;
use crate::collect::Regions;
use crate::collect::api::{CallerIdentity, Cloud};
use crate::collect::attempt::{Attempts, Budget};
use crate::collect::exceptions::expired;
use crate::collect::operation::Operation;
use crate::collect::scope::Scope;
use crate::config::{ArchiveUrl, Config, ScopeMode, distance};
use crate::discover::{self, DiscoverError, Listing, ScopeRequest};
use crate::model::datasets::ArchiveCheck;
use crate::model::ids::{AccountId, Region, RunId, Sha256Hex};
use crate::model::words::CheckOutcome;
use crate::seal::{ArchiveId, Lacking, Producer, PublicKey};
use crate::time::{Date, UtcMillis};

use super::archive::{
    self, AtUrl, KeyFile, Standing, connect, look, open_recovery, open_signer, open_store,
};
use super::running::Asking;
use super::work::Work;
use super::{RunError, RunOptions, Shell, exceptions, memory, random, rates};

/// Time for the first question of all.
const FIRST_CALL_MS: i64 = 30_000;
/// Between the two halves of an archive's scope in entry 1.
const REGIONS: &str = ", regions ";
/// Further off than this, AWS refuses signatures (15 min) or evidence loses its order.
pub const MOST_CLOCK_OFFSET_MS: i64 = 60_000;

/// Which accounts the configuration asks for, on a date.
pub fn scope_request(config: &Config, date: Date) -> Result<ScopeRequest, RunError> {
    let mode = match &config.scope {
        ScopeMode::Organization => discover::Mode::Organization {
            expected_id: config.organization_id.clone(),
        },
        ScopeMode::SingleAccount => discover::Mode::SingleAccount,
        ScopeMode::AccountList(path) => discover::Mode::AccountList(account_list(path)?),
    };
    Ok(ScopeRequest {
        mode,
        accounts: config.accounts.clone(),
        exclude_accounts: config.exclude_accounts.clone(),
        ous: config.ous.clone(),
        tags: config.tags.clone(),
        exceptions: config.exceptions.clone(),
        scheduled_for: date,
        deadline: None,
    })
}

/// Begins to find the accounts that a run is expected to see which must be over at `deadline`.
pub async fn begin_scope(
    mut request: ScopeRequest,
    deadline: UtcMillis,
    asking: &Asking,
) -> Result<Listing, RunError> {
    request.deadline = Some(deadline);
    let (aws, attempts) = (&asking.aws, &asking.attempts);
    let now = attempts.clock().now();
    discover::begin(aws.as_ref(), attempts, &request, now)
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

/// Refuses a Region that was named and that nobody knows: a mistyped one holds no cluster, and a run
/// over nothing would be COMPLETE.
pub fn check_regions(config: &Config) -> Result<(), RunError> {
    const MOST_MISTYPED: usize = 3;
    let Regions::List(named) = &config.regions else {
        return Ok(());
    };
    let known = discover::emr_regions();
    // Of a partition that the list does not tell of, nobody can say what is mistyped.
    let is_known = |region: &Region| {
        let mut partition = known
            .iter()
            .filter(|emr| emr.region.partition() == region.partition())
            .peekable();
        partition.peek().is_none() || partition.any(|emr| emr.region == *region)
    };
    let Some(region) = named.iter().find(|region| !is_known(region)) else {
        return Ok(());
    };
    let far = |emr: &Region| distance(region.as_str(), emr.as_str());
    let mut near: Vec<&Region> = known.iter().map(|emr| &emr.region).collect();
    near.retain(|emr| far(emr) <= MOST_MISTYPED);
    near.sort_by_key(|emr| far(emr));
    let near: Vec<&str> = near.into_iter().take(3).map(Region::as_str).collect();
    Err(RunError::UnknownRegion {
        region: region.clone(),
        near: if near.is_empty() {
            String::new()
        } else {
            format!(" (did you mean {}?)", near.join(" or "))
        },
    })
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
    url: String,
) -> Result<(), RunError> {
    let ours = config.scope_words(&scope.caller.account_id);
    let begun_for = chain
        .genesis()
        .map(|g| g.scope.as_str())
        .unwrap_or_default();
    let (mode, _) = begun_for.split_once(REGIONS).unwrap_or((begun_for, ""));
    if mode != ours {
        return Err(RunError::OtherScope {
            url,
            archive: mode.to_owned(),
            ours,
        });
    }
    let begun_for = chain.genesis().and_then(|g| g.organization_id.clone());
    match (begun_for, &scope.organization_id) {
        (Some(archive), Some(found)) if archive != *found => Err(RunError::OtherOrganization {
            url,
            archive,
            found: found.clone(),
        }),
        // The organization is never unknown to whoever lists its accounts.
        (Some(archive), None) if config.scope == ScopeMode::Organization => {
            Err(RunError::OtherOrganization {
                url,
                archive,
                found: "none".to_owned(),
            })
        }
        _ => Ok(()),
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

/// The date that the run speaks for.
pub fn check_date(shell: &Shell, options: &RunOptions) -> Result<Date, RunError> {
    let today = shell.clock.now().date();
    match options.scheduled_for.unwrap_or(today) {
        date if date > today => Err(RunError::FutureDate { date, today }),
        date => Ok(date),
    }
}

/// Who signs; the configuration is what the rules read.
pub fn producer(config: &Config, caller_arn: Option<String>, lacking: Lacking) -> Producer {
    producer_of(&rule_inputs(config), caller_arn, lacking)
}

/// The same for the configuration in a start.
pub fn producer_of(
    rule_inputs: &serde_json::Value,
    caller_arn: Option<String>,
    lacking: Lacking,
) -> Producer {
    let inputs = crate::model::canonical::to_string(rule_inputs);
    super::producer(Sha256Hex::of(inputs.as_bytes()), caller_arn, lacking)
}

/// Who AWS says that the caller is; its answer also tells the time.
pub async fn find_caller(asking: &Asking) -> Result<CallerIdentity, RunError> {
    let now = asking.attempts.clock().now();
    let budget = Budget::new(now, now.plus_ms(FIRST_CALL_MS));
    let asked = asking
        .attempts
        .own(&budget, Operation::GetCallerIdentity, || {
            asking.aws.caller_identity()
        })
        .await;
    match asked {
        Err(_) if *asking.cancelled.borrow() => Err(RunError::Cancelled),
        asked => asked.map_err(|source| RunError::Caller {
            endpoint: asking.aws.endpoint(),
            source,
        }),
    }
}

impl Asking {
    /// When a run that begins with this process must be over.
    pub fn deadline(&self, config: &Config) -> UtcMillis {
        self.begun_at.plus_ms(config.deadline.as_millis() as i64)
    }

    /// Connects; nothing is asked yet.
    pub async fn new(
        shell: &Shell,
        config: &Config,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, RunError> {
        Self::one_of(1, shell, config, cancelled).await
    }

    /// The same for one of `processes` that share what AWS grants the collector's account.
    pub async fn one_of(
        processes: u32,
        shell: &Shell,
        config: &Config,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, RunError> {
        let aws = Arc::new(connect(shell, config).await?);
        let begun_at = shell.clock.now();
        let attempts = Attempts::new(
            shell.clock.clone(),
            super::jitter()?,
            config.concurrency,
            config.quota_share,
            cancelled.clone(),
        );
        let learned = Arc::new(rates::load(&config.state_dir, begun_at));
        Ok(Self {
            aws,
            attempts: Arc::new(attempts.with_budget(processes, learned)),
            cancelled,
            begun_at,
        })
    }
}

/// What is opened before a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// One process does everything: it needs a folder, and the key that signs.
    Run,
    /// Others collect and seal; the key is needed only where an archive begins.
    Prepare,
}

/// Everything that is known to be right before a run begins.
pub struct Opened {
    pub store: Box<dyn Store>,
    pub signer: Option<Box<dyn Signer>>,
    pub chain: Chain,
    /// Entry 1 was written just now.
    pub begun_now: bool,
    pub checks: Vec<ArchiveCheck>,
    /// What failed or had no answer of those that an archive cannot do without.
    pub lacking: Lacking,
    /// Without accounts where these are still to be listed.
    pub scope: Scope,
    pub listing: Option<Listing>,
    pub work: Option<Work>,
    run_id: RunId,
    date: Date,
}

/// Finds the scope and opens the archive, which is begun where there is none.
pub async fn open(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    asking: &Asking,
    purpose: Purpose,
) -> Result<Opened, RunError> {
    let date = check_date(shell, options)?;
    check_regions(config)?;
    for rule in expired(&config.exceptions, date) {
        tracing::warn!(
            "exception {} (approved by {}) expired on {} and has no effect",
            rule.id,
            rule.approver,
            rule.expires
        );
    }
    let Asking {
        aws,
        attempts,
        cancelled,
        ..
    } = asking;
    let archive = open_store(shell, config, Some(aws)).await?;
    let found = archive::find(archive.as_fetch()).await?;
    if found == AtUrl::Foreign {
        return Err(RunError::NotOurs { url: archive.url() });
    }
    let new = found == AtUrl::Nothing;
    if new && matches!(config.archive, ArchiveUrl::S3 { .. }) && !options.create_archive {
        return Err(RunError::NoArchive { url: archive.url() });
    }
    // Whatever was being asked, the signal is why there is no answer.
    let request = scope_request(config, date)?;
    let listing = match begin_scope(request, asking.deadline(config), asking).await {
        Err(_) if *cancelled.borrow() => return Err(RunError::Cancelled),
        listing => listing,
    };
    // Before the scope's own error: AWS refuses whoever signs at another time, in other words.
    check_clock(aws)?;
    let listing = listing?;
    let (scope, listing) = if purpose == Purpose::Run && !listing.is_short() {
        (listing.head().clone(), Some(listing))
    } else {
        match listing.finish(aws.as_ref(), attempts).await {
            Err(_) if *cancelled.borrow() => return Err(RunError::Cancelled),
            scope => (scope?, None),
        }
    };

    let archive = archive.for_writing(config).await?;
    let (checks, lacking) = (archive.checks(date), archive.lacking());
    let store = archive.store;
    if new {
        let able = store.try_out().await;
        able.map_err(|e| archive::store_error(store.url(), e))?;
    }
    let run_id = match &options.run_id {
        Some(id) => id.clone(),
        None => RunId::new(shell.clock.now(), random()?),
    };
    memory::look(config, &store.url())?;
    let work = match purpose {
        Purpose::Run => Some(Work::create(config, run_id.as_str())?),
        Purpose::Prepare => None,
    };
    let missing = if new {
        KeyFile::CreateIfMissing
    } else {
        KeyFile::Load
    };
    let begun = match purpose {
        Purpose::Prepare => archive::try_chain(store.as_fetch()).await?,
        Purpose::Run => None,
    };
    let (signer, chain, begun_now) = if let Some(chain) = begun {
        (None, chain, false)
    } else {
        let signer = open_signer(shell, config, Some(aws), missing).await?;
        match look(store.as_fetch(), signer.as_ref()).await? {
            Standing::Chain(chain) => (Some(signer), *chain, false),
            Standing::Empty => {
                let producer = producer(config, Some(scope.caller.arn.clone()), lacking.clone());
                let recovery = open_recovery(shell, config, Some(aws)).await?;
                let request = genesis_request(config, &checks, &scope, recovery, producer)?;
                let clock = &*shell.clock;
                let chain =
                    genesis::create(store.as_ref(), signer.as_ref(), clock, &request).await?;
                (Some(signer), chain, true)
            }
        }
    };
    refuse_other_scope(config, &chain, &scope, store.url())?;
    memory::check(config, &store.url(), &chain)?;
    Ok(Opened {
        store,
        signer,
        chain,
        begun_now,
        checks,
        lacking,
        scope,
        listing,
        work,
        run_id,
        date,
    })
}

impl Opened {
    /// Takes the next start.
    pub async fn begin(
        &mut self,
        shell: &Shell,
        config: &Config,
        options: &RunOptions,
    ) -> Result<Begun, RunError> {
        let request = StartRequest {
            run_id: self.run_id.clone(),
            scheduled_for: self.date,
            deadline: config.deadline,
            config: rule_inputs(config),
            take_over: options.take_over.as_ref(),
        };
        let store = self.store.as_ref();
        Ok(starts::begin(store, &*shell.clock, &mut self.chain, &request).await?)
    }
}
