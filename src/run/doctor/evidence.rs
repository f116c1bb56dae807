//! The archive: what stands at its address, how it is protected, whether this caller wrote there.

use std::path::Path;

use crate::archive::chain::Chain;
use crate::archive::layout;
use crate::archive::protection::is_required;
use crate::archive::store::{Protection, StoreError};
use crate::collect::api::CallerIdentity;
use crate::collect::scope::Scope;
use crate::config::{ArchiveUrl, Config};
use crate::model::words::CheckOutcome;
use crate::report::doctor_summary::{Line, State};
use crate::report::text::counted;
use crate::run::anchor::open_copy;
use crate::run::archive::{AtUrl, Readable, find, open_store, read_chain};
use crate::run::beginning::refuse_other_scope;
use crate::run::running::Asking;
use crate::run::{RunError, Shell};

use super::accounts::role_of;
use super::local::can_make;
use super::{ARCHIVE, CREDENTIALS};

/// What was found of the archive.
pub struct Seen {
    pub archive: Readable,
    pub at: AtUrl,
    /// Its chain, where one could be read.
    pub chain: Option<Chain>,
}

/// Looks at the archive and gives what later checks need of it.
pub async fn look(
    shell: &Shell,
    config: &Config,
    known: Option<(&Asking, &CallerIdentity)>,
    scope: Option<&Scope>,
) -> (Vec<Line>, Option<Seen>) {
    let on_s3 = matches!(config.archive, ArchiveUrl::S3 { .. });
    if on_s3 && known.is_none() {
        return (vec![Line::needs(CREDENTIALS)], None);
    }
    let aws = known.map(|(asking, _)| &*asking.aws);
    let opened = match open_store(shell, config, aws).await {
        Ok(archive) => find(archive.as_fetch()).await.map(|at| (archive, at)),
        Err(error) => Err(error),
    };
    let (archive, at) = match opened {
        Ok(opened) => opened,
        Err(error) => return (vec![unreadable(&error)], None),
    };
    if at == AtUrl::Foreign {
        let error = RunError::NotOurs { url: archive.url() };
        return (vec![Line::new(State::Fail, error.to_string())], None);
    }
    let mut lines = judge(&archive.protections().await, config.allow_unprotected);
    let chain = match at {
        AtUrl::Archive => match read_chain(archive.as_fetch()).await {
            Ok(chain) => Some(chain),
            // Keys alone: a beginning that was cut off, which the next run goes on with.
            Err(RunError::NoChain { .. }) => None,
            Err(error) => {
                lines.push(unreadable(&error));
                return (lines, None);
            }
        },
        _ => None,
    };
    match &chain {
        Some(chain) => {
            let head = chain.head();
            lines.push(Line::pass(format!(
                "{} in the chain, the last of {}",
                counted(chain.entries().len() as i64, "entry", "entries"),
                head.statement.at
            )));
            if let Some(scope) = scope
                && let Err(error) = refuse_other_scope(config, chain, scope, archive.url())
            {
                lines.push(Line::new(State::Fail, error.to_string()));
            }
        }
        None if on_s3 => {
            let what = "nothing is there yet";
            lines.push(Line::note(what).next("keyproof run --create-archive"));
        }
        None => lines.push(Line::note("nothing is there yet; the first run begins it")),
    }
    lines.push(match &config.archive {
        ArchiveUrl::Folder(folder) => makeable(folder),
        ArchiveUrl::S3 { .. } => wrote(chain.as_ref(), known.map(|(_, caller)| caller)),
    });
    lines.extend(copy(shell, config).await);
    let lines = super::accounts::worst_first(lines);
    (lines, Some(Seen { archive, at, chain }))
}

/// What has no answer is no verdict on the archive.
fn unreadable(error: &RunError) -> Line {
    match error {
        RunError::Store {
            source: StoreError::Denied { .. },
            ..
        } => Line::new(State::Fail, error.to_string()),
        RunError::Store { .. } => {
            let next = "look at the address, and whether it answers from here";
            Line::fail(error.to_string(), next)
        }
        _ => Line::new(State::Fail, error.to_string()),
    }
}

/// The permission that a check of storage asks with.
fn action(check: &str) -> &'static str {
    match check {
        "default_encryption" => "s3:GetEncryptionConfiguration and kms:DescribeKey",
        "versioning" => "s3:GetBucketVersioning",
        "object_lock" => "s3:GetBucketObjectLockConfiguration",
        "public_access_block" => "s3:GetBucketPublicAccessBlock",
        _ => "s3:GetBucketPolicy",
    }
}

/// How storage protects the archive. What a run insists on decides, and a key that cannot be used.
pub fn judge(protections: &[Protection], allowed: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let passed = protections
        .iter()
        .filter(|p| p.outcome == CheckOutcome::Pass)
        .count();
    if passed > 0 {
        let all = counted(protections.len() as i64, "check", "checks");
        lines.push(Line::pass(format!(
            "{passed} of {all} of its protection pass"
        )));
    }
    let mut vain = Vec::new();
    for protection in protections {
        let said = format!("{}: {}", protection.check, protection.detail);
        let required = is_required(protection.check);
        match protection.outcome {
            CheckOutcome::Pass | CheckOutcome::NotApplicable => {}
            CheckOutcome::Fail if required && !allowed => {
                let next = "scripts/deploy/archive.yaml makes a bucket that does; or say \
                            --allow-unprotected, and every seal tells";
                lines.push(Line::fail(said, next));
            }
            CheckOutcome::Fail if protection.check == "key_state" => {
                lines.push(Line::new(State::Fail, said));
            }
            CheckOutcome::Fail => lines.push(Line::note(said)),
            CheckOutcome::Unknown if required => {
                let next = format!("allow {} to the caller", action(protection.check));
                lines.push(Line::new(State::Unknown, said).next(next));
            }
            CheckOutcome::Unknown => vain.push(protection.check),
        }
    }
    if !vain.is_empty() {
        let what = format!("asked in vain, which a run records: {}", vain.join(", "));
        lines.push(Line::new(State::Untold, what));
    }
    lines
}

/// Whether the caller may write, as far as what was written tells: a PUT alone could show it, and
/// nothing is PUT here.
fn wrote(chain: Option<&Chain>, caller: Option<&CallerIdentity>) -> Line {
    let ours = caller.map(|caller| role_of(&caller.arn));
    let by_us = |arn: Option<&String>| arn.map(|arn| role_of(arn)) == ours && ours.is_some();
    let entries = chain
        .into_iter()
        .flat_map(|chain| chain.entries().iter().rev());
    let mut entries = entries.filter(|entry| by_us(entry.statement.producer.caller_arn.as_ref()));
    match entries.next() {
        Some(entry) => Line::pass(format!(
            "the caller's role wrote entry {} at {}",
            entry.seq, entry.statement.at
        )),
        None => {
            let what = "whether the caller may create objects; a run's first one is its start, \
                        before it looks at any account";
            let next = "s3:PutObject and s3:PutObjectRetention on the prefix, kms:GenerateDataKey \
                        and kms:Decrypt on its key";
            Line::new(State::Untold, what).next(next)
        }
    }
}

fn makeable(folder: &Path) -> Line {
    match can_make(folder) {
        Ok(()) => Line::pass(format!("{} may be written to", folder.display())),
        Err(detail) => Line::fail(detail, "name another --archive, or mend that folder"),
    }
}

/// Whether the configured copy of the chain can be looked at.
async fn copy(shell: &Shell, config: &Config) -> Option<Line> {
    let url = config.chain_copy.as_ref()?;
    let listed = match open_copy(shell, config, url).await {
        Ok(store) => match store.list(layout::CHAIN).await {
            Ok(_) | Err(StoreError::Absent { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    Some(match listed {
        Ok(()) => Line::pass(format!("the copy of the chain at {url} can be read")),
        Err(detail) => {
            let what = format!("the copy of the chain at {url}: {detail}");
            Line::fail(what, "mend chain_copy and chain_copy_profile")
        }
    })
}

/// The line of a check that an archive would have to be there for.
pub fn needed() -> Vec<Line> {
    vec![Line::needs(ARCHIVE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::doctor_summary::{Check, Outcome};

    fn protection(check: &'static str, outcome: CheckOutcome) -> Protection {
        Protection {
            check,
            outcome,
            detail: "it is so".to_owned(),
        }
    }

    fn outcome(protections: &[Protection], allowed: bool) -> Outcome {
        let lines = judge(protections, allowed);
        let check = Check {
            name: "archive",
            lines,
        };
        check.outcome()
    }

    #[test]
    fn what_a_run_insists_on_decides() {
        use CheckOutcome::{Fail, NotApplicable, Pass, Unknown};
        for (check, found, expected) in [
            ("versioning", Pass, Outcome::Pass),
            ("versioning", Fail, Outcome::Fail),
            ("versioning", Unknown, Outcome::Unknown),
            ("configured_key", NotApplicable, Outcome::Pass),
            ("bucket_key", Fail, Outcome::Pass),
            ("key_decrypt", Unknown, Outcome::Pass),
            // Nothing can be written under a key that is disabled.
            ("key_state", Fail, Outcome::Fail),
            ("protection", Fail, Outcome::Pass),
        ] {
            assert_eq!(
                outcome(&[protection(check, found)], false),
                expected,
                "{check} {found}"
            );
        }
        assert_eq!(
            outcome(&[protection("versioning", Fail)], true),
            Outcome::Pass
        );
        assert_eq!(
            outcome(&[protection("key_state", Fail)], true),
            Outcome::Fail
        );
    }

    #[test]
    fn a_question_that_was_refused_names_the_permission() {
        for check in crate::archive::protection::REQUIRED {
            let lines = judge(&[protection(check, CheckOutcome::Unknown)], false);
            let next = lines[0].next.as_deref().unwrap_or_default();
            assert!(next.contains("s3:Get"), "{check}: {next}");
        }
    }
}
