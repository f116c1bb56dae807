//! Every account of the scope, entered and tried with a few questions.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::task::JoinSet;

use crate::collect::api::CallerIdentity;
use crate::collect::attempt::Budget;
use crate::collect::coverage::{CellEnd, row};
use crate::collect::probe::{self, Probed};
use crate::collect::scope::{EmrRegion, Scope};
use crate::collect::{self, Options};
use crate::config::{Config, ScopeMode};
use crate::discover;
use crate::model::datasets::Account;
use crate::model::ids::{Region, RunId};
use crate::model::words::{CellOutcome, Source};
use crate::report::doctor_summary::Line;
use crate::run::running::Asking;
use crate::time::UtcMillis;

/// An account and how it answered.
pub struct Answer {
    pub account: Account,
    /// Questions that were allowed are not kept.
    pub probed: Probed,
}

/// What the answers are judged by.
pub struct Ways<'a> {
    pub config: &'a Config,
    pub caller: &'a CallerIdentity,
    pub scope: &'a Scope,
    /// Where EMR exists, as the data file has it.
    pub emr: Vec<EmrRegion>,
}

impl Ways<'_> {
    /// Whether the organization accepts that these cells end so.
    pub fn accepts(
        &self,
        account: &Account,
        region: &Region,
        sources: &[Source],
        outcome: CellOutcome,
    ) -> bool {
        let unspent = Budget::new(UtcMillis(0), UtcMillis(0));
        let accepted = |source: &Source| {
            let rules = &self.config.exceptions;
            let end = CellEnd::plain(outcome);
            let cell = row(rules, account, region, *source, end, &unspent, UtcMillis(0));
            cell.accepted_by.is_some()
        };
        sources.iter().all(accepted)
    }

    /// The caller as a trust policy names it: a role, not one of its sessions.
    pub fn trusted(&self) -> String {
        role_of(&self.caller.arn)
    }
}

/// `arn:aws:sts::1:assumed-role/name/session` as the ARN of the role; anything else as it is.
pub fn role_of(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [arn_word, partition, "sts", region, account, resource] = parts.as_slice() else {
        return arn.to_owned();
    };
    let role = resource.strip_prefix("assumed-role/");
    match role.and_then(|role| role.rsplit_once('/')) {
        Some((role, _)) => format!("{arn_word}:{partition}:iam:{region}:{account}:role/{role}"),
        None => arn.to_owned(),
    }
}

/// Asks every account, as many at once as a run does.
pub async fn ask(config: &Config, asking: &Asking, scope: &Scope, id: RunId) -> Vec<Answer> {
    let date = asking.attempts.clock().now().date();
    let mut options = Options::new(id, date, discover::emr_regions());
    options.role_name = config.role_name.clone();
    options.external_id = config.external_id.clone();
    options.single_account = config.scope == ScopeMode::SingleAccount;
    options.regions = config.regions.clone();
    options.launch_days = i64::from(config.launch_days);
    options.sample_clusters = config.sample_objects;
    options.listing = config.listing;
    options.sampler_role_name = config.sampler_role_name.clone();
    options.source_reader_role_name = config.source_reader_role_name.clone();
    let context = probe::context(asking.aws.clone(), asking.attempts.clone(), options);
    let context = Arc::new(context);

    let progress = asking.attempts.progress().clone();
    let all = scope.accounts.iter().filter(|account| account.in_scope);
    progress
        .accounts_total
        .fetch_add(all.clone().count() as u64, Relaxed);
    let limit = config.concurrency.max(1).saturating_mul(2);
    let home = asking.aws.region();
    let mut open = JoinSet::new();
    let mut answers = Vec::new();
    for account in all {
        if open.len() >= limit {
            answers.extend(collect::joined(open.join_next().await));
        }
        let (context, account, home) = (context.clone(), account.clone(), home.clone());
        let progress = progress.clone();
        open.spawn(async move {
            let mut probed = probe::probe(&context, &account.account_id, &home).await;
            progress.accounts_done.fetch_add(1, Relaxed);
            probed.asked.retain(|(_, ended)| ended.is_err());
            Answer { account, probed }
        });
    }
    while let Some(ended) = open.join_next().await {
        answers.extend(collect::joined(Some(ended)));
    }
    answers.sort_by(|a, b| a.account.account_id.cmp(&b.account.account_id));
    answers
}

/// Ids of accounts, for a line.
pub fn ids<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Vec<String> {
    let ids = answers.into_iter();
    ids.map(|answer| answer.account.account_id.to_string())
        .collect()
}

/// Failures first: where a text is cut, they are what stays.
pub fn worst_first(mut lines: Vec<Line>) -> Vec<Line> {
    use crate::report::doctor_summary::State;
    lines.sort_by_key(|line| match line.state {
        State::Fail => 0,
        State::Unknown => 1,
        State::Pass => 2,
        State::Untold | State::Note => 3,
    });
    lines
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::collect::api::{ApiError, ErrorClass};
    use crate::collect::attempt::CallError;
    use crate::collect::operation::Operation;
    use crate::config::Layer;
    use crate::time::Date;

    /// The configuration that these settings and defaults make.
    pub fn config(settings: &[(&'static str, &str)]) -> Config {
        let mut layer = Layer::default();
        for (name, value) in settings {
            layer.flag(name, Some((*value).to_owned()));
        }
        Config::of_layer(layer).expect("configuration")
    }

    /// How AWS refuses an operation.
    pub fn refused(operation: Operation, class: ErrorClass) -> CallError {
        CallError::Api(Box::new(ApiError {
            class,
            operation,
            account: "111122223333".to_owned(),
            region: "eu-west-1".to_owned(),
            code: "AccessDenied".to_owned(),
            message: "no".to_owned(),
            request_id: None,
        }))
    }

    /// Account number `n`, which let everything through.
    pub fn answer(n: u64) -> Answer {
        let account = Account {
            scheduled_for: Date::from_days(20_000),
            account_id: format!("{}", 111_122_223_333 + n).parse().expect("account"),
            name: None,
            state: Some("ACTIVE".to_owned()),
            ou_path: None,
            management: n == 0,
            in_scope: true,
            left_out_because: None,
            joined_at: None,
            owner: None,
            cost_center: None,
            business_unit: None,
        };
        let region: Region = "eu-west-1".parse().expect("Region");
        Answer {
            account,
            probed: Probed {
                entered: Ok(()),
                others: vec![],
                regions: Some(Ok([region.clone()].into())),
                asked_in: Some(region),
                asked: vec![],
                not_asked: vec![],
            },
        }
    }

    /// Judges by a configuration, as a role of account 111122223333.
    pub fn with_ways<T>(config: &Config, judge: impl FnOnce(&Ways<'_>) -> T) -> T {
        let caller = CallerIdentity {
            account_id: "111122223333".parse().expect("account"),
            arn: "arn:aws:sts::111122223333:assumed-role/keyproof-collector/i-0123".to_owned(),
        };
        let scope = Scope {
            organization_id: Some("o-exampleorg1".to_owned()),
            caller: caller.clone(),
            management_account: None,
            accounts: Arc::default(),
        };
        judge(&Ways {
            config,
            caller: &caller,
            scope: &scope,
            emr: discover::emr_regions(),
        })
    }

    #[test]
    fn a_session_is_named_by_its_role() {
        for (arn, trusted) in [
            (
                "arn:aws:sts::111122223333:assumed-role/keyproof-collector/i-0123",
                "arn:aws:iam::111122223333:role/keyproof-collector",
            ),
            (
                "arn:aws-cn:iam::111122223333:user/auditor",
                "arn:aws-cn:iam::111122223333:user/auditor",
            ),
            (
                "arn:aws:sts::1:assumed-role/",
                "arn:aws:sts::1:assumed-role/",
            ),
            ("", ""),
        ] {
            assert_eq!(role_of(arn), trusted);
        }
    }
}
