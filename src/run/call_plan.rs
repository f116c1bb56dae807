//! `keyproof run --dry-run`: what a run would ask, and what that takes. Only discovery is asked and the
//! archive read; nothing is written but to a folder of this process, which is removed.

use std::collections::BTreeSet;

use tokio::sync::watch;

use crate::archive::chain::Chain;
use crate::collect::Regions;
use crate::collect::call_plan::{
    self, Ask, Clusters, LATENCY_MS, Living, Planner, Wanted as Asked,
};
use crate::collect::engine::is_expected;
use crate::collect::facts::Known as _;
use crate::collect::listing;
use crate::collect::operation::Operation;
use crate::collect::scope::{Scope, TagNames};
use crate::config::{ArchiveUrl, Config, ScopeMode, SigningKey};
use crate::discover;
use crate::model::datasets::{Coverage, EmrCluster, KmsKey, LogBucket, Trail};
use crate::model::ids::{AccountId, Region, hex};
use crate::model::words::Source;
use crate::record::Journal;
use crate::report::call_plan::{ArchiveRequests, Basis, Busiest, CallPlan};
use crate::rollup::{DEFAULT_PRICES, Price, parse_prices};
use crate::time::Date;

use super::archive::{AtUrl, find, open_store, try_chain};
use super::beginning::{
    begin_scope, check_clock, check_date, check_regions, refuse_other_scope, scope_request,
};
use super::evidence::Evidence;
use super::known::{self, Wanted, Watermarks};
use super::running::Asking;
use super::sealed::{self, SealedRun};
use super::work::Work;
use super::{RunError, RunOptions, Shell, memory, random};

/// Start, manifest, sums and entry.
const OTHER_FILES: i64 = 4;

/// Counts what a run with these options would ask.
///
/// # Errors
/// Those that the run itself would meet before its start, but for the signing key, which is not
/// opened.
pub async fn call_plan(
    shell: &Shell,
    config: &Config,
    options: &RunOptions,
    cancelled: watch::Receiver<bool>,
) -> Result<CallPlan, RunError> {
    let date = check_date(shell, options)?;
    check_regions(config)?;
    let asking = Asking::new(shell, config, cancelled).await?;
    let archive = open_store(shell, config, Some(&asking.aws)).await?;
    let (fetch, url) = (archive.as_fetch(), archive.url());
    let found = find(fetch).await?;
    if found == AtUrl::Foreign {
        return Err(RunError::NotOurs { url });
    }
    let (aws, attempts) = (&asking.aws, &asking.attempts);
    let mut request = scope_request(config, date)?;
    // At AWS's rate the tags of 10,000 accounts take an hour: they are counted, and not read.
    let asks_tags = request.asks_tags();
    request.tags = TagNames::default();
    let found_scope = async {
        let listing = begin_scope(request, asking.deadline(config), &asking).await?;
        Ok::<_, RunError>(listing.finish(aws.as_ref(), attempts).await?)
    };
    let scope = match found_scope.await {
        Err(_) if *asking.cancelled.borrow() => return Err(RunError::Cancelled),
        found => found,
    };
    check_clock(&asking.aws)?;
    let scope = scope?;
    let chain = match found {
        AtUrl::Archive => try_chain(fetch).await?,
        AtUrl::Nothing | AtUrl::Foreign => None,
    };
    if let Some(chain) = &chain {
        memory::check(config, &url, chain)?;
        refuse_other_scope(config, chain, &scope, url.clone())?;
    }
    let mut plan = Planning::new(shell, config, date, &scope);
    for cost in asking.attempts.own_costs() {
        plan.planner
            .own(cost.operation, cost.calls - cost.throttles);
    }
    if asks_tags {
        let accounts = scope.accounts.iter().filter(|account| account.in_scope);
        let calls = accounts.count() as i64;
        plan.planner.own(Operation::ListTagsForResource, calls);
    }
    let runs = chain.as_ref().map(|chain| earlier(chain, date));
    let runs = runs.unwrap_or_default();
    let mut files = None;
    if let Some(newest) = runs.first() {
        let name = format!("dry-run-{}", hex(&random::<4>()?));
        // A folder that is not there yet would stay.
        let there = config.work_dir.clone().filter(|folder| folder.is_dir());
        let scratch = Config {
            work_dir: there,
            ..config.clone()
        };
        let work = Work::create(&scratch, &name)?;
        let evidence = Evidence {
            fetch,
            work: &work.path,
        };
        let journal = Journal::create(&work.path.join("known"))?;
        let wanted = Wanted {
            date,
            scope: &scope,
            regions: &config.regions,
        };
        let known = Watermarks::load(&evidence, &runs, &wanted, journal).await?;
        let read = plan.read(&evidence, newest, &known).await;
        if known::readable(newest, read)?.is_some() {
            files = Some(newest.all_files(fetch).await?.len() as i64);
        }
    }
    let entries = chain.map_or(0, |chain| chain.head().seq as i64);
    plan.finish(url, entries, files)
}

/// The runs of record before a date, newest first.
fn earlier(chain: &Chain, date: Date) -> Vec<SealedRun> {
    let runs = sealed::of_record(chain).into_iter().rev();
    runs.filter(|(d, _)| *d < date)
        .map(|(_, run)| run)
        .collect()
}

/// A plan that is being made.
struct Planning<'a> {
    config: &'a Config,
    scope: &'a Scope,
    asked: Asked,
    planner: Planner,
    basis: Option<Basis>,
    /// Accounts that the newest run was about.
    known: BTreeSet<AccountId>,
}

impl<'a> Planning<'a> {
    fn new(shell: &Shell, config: &'a Config, date: Date, scope: &'a Scope) -> Self {
        let asked = Asked {
            date,
            now: shell.clock.now(),
            regions: config.regions.clone(),
            describe_max_age_days: (config.describe_max_age.as_secs() / 86_400) as i64,
            launches: config.launch_days > 0,
            control_events: config.control_events,
            samples: config.sample_objects > 0,
            lists: config.listing.is_some(),
            reports: config.source_reader_role_name.is_some(),
            single_account: config.scope == ScopeMode::SingleAccount,
        };
        Self {
            config,
            scope,
            asked,
            planner: Planner::new(config.quota_share),
            basis: None,
            known: BTreeSet::new(),
        }
    }

    /// Counts what the cells of the newest run let expect, account by account.
    async fn read(
        &mut self,
        evidence: &Evidence<'_>,
        run: &SealedRun,
        known: &Watermarks,
    ) -> Result<(), RunError> {
        let mut living = Living::default();
        for key in evidence.rows::<KmsKey>(run).await? {
            living.add(&[key?], &[], &[]);
        }
        for bucket in evidence.rows::<LogBucket>(run).await? {
            living.add(&[], &[bucket?], &[]);
        }
        for trail in evidence.rows::<Trail>(run).await? {
            living.add(&[], &[], &[trail?]);
        }
        if self.asked.control_events {
            for cell in evidence.rows::<Coverage>(run).await? {
                living.add_cell(&cell?);
            }
            for cluster in evidence.rows::<EmrCluster>(run).await? {
                living.add_cluster(&cluster?);
            }
        }
        let mut planner = self.planner.clone();
        let mut sum = Clusters::default();
        let mut about = BTreeSet::new();
        let mut now: Option<(AccountId, Vec<Ask>)> = None;
        for cell in evidence.rows::<Coverage>(run).await? {
            let cell = cell?;
            let account = &cell.account_id;
            let in_scope = self.scope.account(account).is_some_and(|a| a.in_scope);
            if !in_scope || cell.calls == 0 {
                continue;
            }
            if now.as_ref().is_none_or(|(a, _)| a != account) {
                if let Some((account, asks)) = now.take() {
                    planner.account(&account, &asks);
                }
                about.insert(account.clone());
                now = Some((account.clone(), Vec::new()));
            }
            let mark = match cell.source {
                Source::Clusters => known
                    .account_region(account, &cell.region)
                    .map_err(crate::collect::CollectError::from)?,
                _ => None,
            };
            let mark = listing::fresh(mark, self.asked.now);
            let (asks, clusters) = call_plan::of_cell(&cell, mark.as_ref(), &living, &self.asked);
            sum.active += clusters.active;
            sum.described += clusters.described;
            if let Some((_, all)) = &mut now {
                all.extend(asks);
            }
        }
        if let Some((account, asks)) = now {
            planner.account(&account, &asks);
        }
        // Only a whole reading counts.
        self.planner = planner;
        self.known = about;
        self.basis = Some(Basis {
            run_id: run.seal.run_id.clone(),
            date: run.seal.scheduled_for,
            active: sum.active,
            described: sum.described,
        });
        Ok(())
    }

    /// `entries`: of the chain; `files`: of the newest run.
    fn finish(
        mut self,
        url: String,
        entries: i64,
        files: Option<i64>,
    ) -> Result<CallPlan, RunError> {
        let expected: Vec<&AccountId> = self
            .scope
            .accounts
            .iter()
            .filter(|a| is_expected(a) && a.in_scope)
            .map(|a| &a.account_id)
            .collect();
        let fresh = expected.iter().filter(|a| !self.known.contains(**a));
        let mut new_accounts = fresh.count() as i64;
        let all_new = new_accounts;
        if self.known.is_empty() {
            let least = call_plan::at_least(&self.regions(), &self.asked);
            for account in &expected {
                self.planner.account(account, &least);
            }
            new_accounts = 0;
        }
        let archive = self.archive(entries, files);
        let plan = self.planner.finish(new_accounts);
        let prices = parse_prices(DEFAULT_PRICES).map_err(|e| RunError::Internal(e.to_string()))?;
        let price = |source: Source| price(&prices, source, self.asked.date);
        let asked = plan.sources.iter();
        let asked: i64 = asked.map(|(source, calls)| price(*source) * calls).sum();
        // PUTs cost what lists do, GETs what reads of settings do
        // (<https://aws.amazon.com/s3/pricing/>).
        let archived = archive.map_or(0, |requests| {
            requests.puts * price(Source::BucketOwners)
                + requests.gets * price(Source::Buckets)
                + requests.kms * price(Source::Keys)
        });
        let named = |operation: Operation| {
            let action = operation.iam_action().unwrap_or("sts:");
            let service = action.split(':').next().unwrap_or_default();
            format!("{service} {operation:?}")
        };
        let mut calls: Vec<(String, i64)> = plan
            .operations
            .iter()
            .filter(|(_, calls)| **calls > 0)
            .map(|(operation, calls)| (named(*operation), *calls))
            .collect();
        calls.sort();
        Ok(CallPlan {
            date: self.asked.date,
            url,
            basis: self.basis,
            accounts: expected.len() as i64,
            new_accounts: all_new,
            calls,
            busiest: plan.busiest.map(|busiest| Busiest {
                account: busiest.account,
                region: busiest.region,
                operation: format!("{:?}", busiest.operation),
                calls: busiest.calls,
                takes_ms: busiest.takes_ms,
            }),
            share_permille: (self.config.quota_share * 1_000.0).round() as i64,
            concurrency: self.config.concurrency as i64,
            latency_ms: LATENCY_MS,
            price_nano_usd: asked + archived,
            archive,
        })
    }

    /// Those that are configured, else those that no account can turn off.
    fn regions(&self) -> BTreeSet<Region> {
        match &self.config.regions {
            Regions::List(regions) => regions.iter().cloned().collect(),
            Regions::Auto => {
                let partition = self.scope.caller.arn.split(':').nth(1).unwrap_or("aws");
                let emr = discover::emr_regions().into_iter();
                emr.filter(|r| r.always_on && r.region.partition() == partition)
                    .map(|r| r.region)
                    .collect()
            }
        }
    }

    /// Requests to an archive on S3: every object that the run writes; every entry, manifest and file
    /// that it reads; KMS for each of them, which a bucket key makes fewer; the signature.
    fn archive(&self, entries: i64, files: Option<i64>) -> Option<ArchiveRequests> {
        if !matches!(self.config.archive, ArchiveUrl::S3 { .. }) {
            return None;
        }
        let written = crate::archive::shards::every_dataset().len() as i64 + OTHER_FILES;
        let read = entries + files.map_or(0, |files| files + 1);
        let by_kms = matches!(self.config.signing_key, Some(SigningKey::Kms { .. }));
        Some(ArchiveRequests {
            puts: written,
            gets: read,
            kms: written + read + if by_kms { 2 } else { 0 },
        })
    }
}

/// The price of one call of a source on a date, 0.000000001 USD; 0 where none is charged.
fn price(prices: &[Price], source: Source, date: Date) -> i64 {
    let item = format!("calls/{source}");
    let of_item = prices.iter().filter(|p| p.item == item);
    let valid = of_item
        .filter(|p| p.valid_from <= date)
        .max_by_key(|p| p.valid_from);
    valid.map_or(0, |price| price.nano_usd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_price_that_holds_counts() {
        let date = |text: &str| text.parse().expect("date");
        let prices = parse_prices(
            "item,valid_from,nano_usd,unit\nkms_key_month,2026-01-01,1,m\n\
             calls/keys,2026-01-01,3000,c\ncalls/keys,2027-01-01,4000,c\n",
        )
        .expect("prices");
        assert_eq!(price(&prices, Source::Keys, date("2026-11-24")), 3_000);
        assert_eq!(price(&prices, Source::Keys, date("2027-11-24")), 4_000);
        assert_eq!(price(&prices, Source::Keys, date("2025-11-24")), 0);
        assert_eq!(price(&prices, Source::Clusters, date("2026-11-24")), 0);
    }
}
