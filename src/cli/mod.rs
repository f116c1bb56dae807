//! Arguments in, a call, an exit code out. One file per command.

mod assess;
mod backfill;
mod beginning;
mod collect;
mod common;
mod completions;
mod config;
mod demo;
mod doctor;
mod explain;
mod init;
mod keys;
mod looking;
mod note;
mod prepare;
mod query;
mod rollup;
mod run;
mod sandbox;
mod schema;
mod seal;
mod verify;
mod writing;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::error::{Exit, Failure};
use crate::report::{WIDTH, text};

/// Proves whether the logs of every Amazon EMR cluster of an AWS organization are encrypted under
/// keys the organization controls.
#[derive(Debug, Parser)]
#[command(
    name = "keyproof",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Audit a simulated organization for several days: no credentials, no network
    Demo(demo::Args),
    /// Check everything that a run needs, before it begins; writes nothing
    Doctor(Box<doctor::Args>),
    /// Write a first keyproof.toml, or print the least IAM policy of a role
    Init(Box<init::Args>),
    /// Look at every account once, judge every cluster, seal the evidence
    Run(Box<run::Args>),
    /// Begin a run whose accounts several processes collect
    Prepare(Box<prepare::Args>),
    /// Collect the accounts of one shard of a prepared run
    Collect(Box<collect::Args>),
    /// Judge a prepared run; or recompute the findings of a sealed one and compare
    Assess(Box<assess::Args>),
    /// Compare and recompute what a prepared run wrote, then seal it
    Seal(seal::Args),
    /// Check an archive: files, signatures, continuity
    Verify(verify::Args),
    /// Show the keys of an archive, create a local signing key, or replace the signing key
    Keys(keys::Args),
    /// Sign a remark about a run
    Note(note::Args),
    /// Read launches from the files that a trail delivered to S3, and seal them
    Backfill(Box<backfill::Args>),
    /// Compute a quarter's KPIs from sealed runs and seal them
    Rollup(rollup::Args),
    /// Ask sealed evidence in SQL
    Query(Box<query::Args>),
    /// Explain a rule, or a cluster's verdict, or say who may use a key by the policies in a file
    Explain(Box<explain::Args>),
    /// Serve a generated organization over the AWS wire protocols
    Sandbox(sandbox::Args),
    /// Write the descriptions of all datasets
    Schema(schema::Args),
    /// Show every setting, its value and where the value comes from
    Config(config::Args),
    /// Print shell completions
    Completions(completions::Args),
}

/// Parses the command line, does what it says and returns how the process ends.
pub fn main() -> Exit {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            // A closed pipe (`keyproof --help | head`) is no reason to fail.
            let _ = error.print();
            return if usage { Exit::Usage } else { Exit::Success };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("keyproof: cannot start: {error}");
            return Exit::Failed;
        }
    };
    let done = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Doctor(args) => doctor::run(*args).await,
            Command::Init(args) => init::run(*args),
            Command::Run(args) => run::run(*args).await,
            Command::Prepare(args) => prepare::run(*args).await,
            Command::Collect(args) => collect::run(*args).await,
            Command::Assess(args) => assess::run(*args).await,
            Command::Seal(args) => seal::run(args).await,
            Command::Verify(args) => verify::run(args).await,
            Command::Keys(args) => keys::run(args).await,
            Command::Note(args) => note::run(args).await,
            Command::Backfill(args) => backfill::run(*args).await,
            Command::Rollup(args) => rollup::run(args).await,
            Command::Query(args) => query::run(*args).await,
            Command::Explain(args) => explain::run(*args).await,
            Command::Sandbox(args) => sandbox::run(args).await,
            Command::Schema(args) => schema::run(args),
            Command::Config(args) => config::run(args),
            Command::Completions(args) => completions::run(args),
        }
    });
    // A hung connection must not keep the process: what matters is durable by now.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    done.unwrap_or_else(|failure: Failure| {
        let words = format!("keyproof: {failure}");
        for line in words.lines() {
            eprintln!("{}", text::wrap(line, WIDTH, 0));
        }
        failure.exit
    })
}

fn parse(words: impl Iterator<Item = std::ffi::OsString>) -> Result<Cli, clap::Error> {
    // What a number is out of range of says the flag, not that there is no flag `-1`.
    let negative = |arg: clap::Arg| {
        let takes = arg.get_long().is_some() && arg.get_action().takes_values();
        arg.allow_negative_numbers(takes)
    };
    let mut command = Cli::command().mut_subcommands(|command| command.mut_args(negative));
    let matches = command.try_get_matches_from_mut(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        let words = line.split_whitespace().map(std::ffi::OsString::from);
        parse(words).expect_err(line).to_string()
    }

    #[test]
    fn a_negative_number_is_refused_by_the_flag_that_it_is_given_to() {
        for (line, flag) in [
            ("keyproof query --named sample-clusters --n -1", "--n <N>"),
            ("keyproof prepare --shards -1", "--shards <N>"),
            ("keyproof demo --days -1", "--days <DAYS>"),
            ("keyproof demo --days 0", "--days <DAYS>"),
            ("keyproof sandbox --accounts 0", "--accounts <ACCOUNTS>"),
            ("keyproof sandbox --latency -1", "--latency <MS>"),
        ] {
            let error = refused(line);
            assert!(error.contains(flag), "{line}: {error}");
            assert!(error.contains("invalid value"), "{line}: {error}");
            assert!(!error.contains("unexpected"), "{line}: {error}");
        }
        // A flag is still told from a number.
        assert!(refused("keyproof query --nn 1").contains("unexpected argument '--nn'"));
    }
}
