//! `keyproof collect`.

use std::str::FromStr;

use super::common::{self, Common};
use super::looking::Looking;
use super::writing::Writing;
use crate::error::{Exit, Failure};
use crate::model::ids::RunId;
use crate::run;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    looking: Looking,
    /// The prepared run
    #[arg(long, value_name = "ID")]
    run_id: RunId,
    /// Which of the shards, e.g. 3/8; aws-batch: the one that the index of an AWS Batch array job means
    #[arg(long, value_name = "K/N|aws-batch")]
    shard: Shard,
    #[command(flatten)]
    writing: Writing,
}

/// Which shard is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shard {
    /// K of N, from 1.
    Given(u32, u32),
    /// What the environment of an AWS Batch array job says. An image without a shell cannot count from one
    /// where Batch counts from zero.
    AwsBatch,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "aws-batch" {
            return Ok(Self::AwsBatch);
        }
        let parts = text.split_once('/');
        let parsed = parts.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((k, n)) if 1 <= k && k <= n => Ok(Self::Given(k, n)),
            _ => Err("a shard is K/N, from 1/N to N/N, or aws-batch".to_owned()),
        }
    }
}

/// Index, from 0, and size of the array job that a process belongs to
/// (<https://docs.aws.amazon.com/batch/latest/userguide/job_env_vars.html>).
const BATCH_INDEX: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
const BATCH_SIZE: &str = "AWS_BATCH_JOB_ARRAY_SIZE";

impl Shard {
    /// K and N; `variable` reads the environment.
    fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<(u32, u32), Failure> {
        let number = |name: &str| {
            let text = variable(name).ok_or_else(|| {
                Failure::usage(format!(
                    "--shard aws-batch: {name} is not set; this is no child of an AWS Batch array job, so give --shard K/N"
                ))
            })?;
            text.parse::<u32>().map_err(|_| {
                Failure::usage(format!("--shard aws-batch: {name} is no number: '{text}'"))
            })
        };
        match self {
            Self::Given(k, n) => Ok((k, n)),
            Self::AwsBatch => match (number(BATCH_INDEX)?, number(BATCH_SIZE)?) {
                (index, size) if index < size => Ok((index + 1, size)),
                (index, size) => Err(Failure::usage(format!(
                    "--shard aws-batch: {BATCH_INDEX} is {index}, and {BATCH_SIZE} is {size}"
                ))),
            },
        }
    }
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    args.looking.start_logging();
    let shard = args.shard.resolve(|name| std::env::var(name).ok())?;
    let mut flags = args.looking.layer();
    args.writing.add_to(&mut flags);
    let (config, _) = common::load(&args.common, flags)?;
    let done = run::collect(
        &common::shell(),
        &config,
        &args.looking.options(),
        &args.run_id,
        shard,
        common::cancel_on_signal(),
    )
    .await;
    common::print(&done.map_err(common::failure)?.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_batch(index: Option<&str>, size: Option<&str>) -> Result<(u32, u32), String> {
        let found = Shard::AwsBatch.resolve(|name| {
            let value = match name {
                BATCH_INDEX => index,
                BATCH_SIZE => size,
                _ => None,
            };
            value.map(str::to_owned)
        });
        found.map_err(|failure| failure.message)
    }

    #[test]
    fn batch_counts_from_zero_and_shards_from_one() {
        assert_eq!(of_batch(Some("0"), Some("4")), Ok((1, 4)));
        assert_eq!(of_batch(Some("3"), Some("4")), Ok((4, 4)));
        let given = Shard::from_str("3/8").expect("a shard");
        // Given ones win over whatever the environment says.
        assert_eq!(given.resolve(|_| Some("0".to_owned())).ok(), Some((3, 8)));
    }

    #[test]
    fn an_environment_that_is_not_an_array_jobs_is_refused() {
        for (index, size, names) in [
            (None, Some("4"), BATCH_INDEX),
            (Some("0"), None, BATCH_SIZE),
            (Some("4"), Some("4"), "is 4"),
            (Some("4294967295"), Some("4294967295"), "is 4294967295"),
            (Some("-1"), Some("4"), "'-1'"),
            (Some("0"), Some(""), "''"),
        ] {
            let refused = of_batch(index, size).expect_err(names);
            assert!(refused.contains(names), "{refused}");
        }
        for text in ["0/2", "3/2", "1", "a/b", "aws", "1/2/3"] {
            assert!(Shard::from_str(text).is_err(), "{text}");
        }
    }
}
