//! `keyproof init`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use super::common::{self, Common};
use crate::config::{self, Layer};
use crate::error::{Exit, Failure};
use crate::run::{self, Named, Role};

/// Write a first keyproof.toml, or print the policy of a role.
///
/// A policy allows exactly the calls that the program makes with the role, by the configuration: the names
/// of roles, the archive, the keys. scripts/deploy/ has templates that make roles with the same permissions.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Print the least IAM policy of this role instead
    #[arg(long, value_enum, value_name = "ROLE")]
    policy: Option<Shape>,
    /// Bucket, or bucket/prefix, of logs (sampler) or of reports (source-reader); may be repeated
    #[arg(long, value_name = "BUCKET[/PREFIX]", requires = "policy")]
    bucket: Vec<String>,
    /// ARN of a key that reports lie under (source-reader); may be repeated
    #[arg(long, value_name = "ARN", requires = "policy")]
    key: Vec<String>,
    /// KMS key that archive objects are put under
    #[arg(long, value_name = "ARN", requires = "policy")]
    archive_kms_key: Option<String>,
    /// KMS key ARN that signs seals
    #[arg(long, value_name = "ARN", requires = "policy")]
    signing_key: Option<String>,
    /// Name of the role to assume in every account
    #[arg(long, value_name = "NAME", requires = "policy")]
    role_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    Reader,
    Collector,
    Sampler,
    SourceReader,
    Sealer,
}

impl From<Shape> for Role {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Reader => Self::Reader,
            Shape::Collector => Self::Collector,
            Shape::Sampler => Self::Sampler,
            Shape::SourceReader => Self::SourceReader,
            Shape::Sealer => Self::Sealer,
        }
    }
}

pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.policy {
        Some(shape) => policy(args, shape.into()),
        None => file(args.common.config),
    }
}

/// What stands there is never replaced.
fn file(path: Option<PathBuf>) -> Result<Exit, Failure> {
    let path = path.unwrap_or_else(|| PathBuf::from("keyproof.toml"));
    let shown = path.display();
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = made.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!(
            "{shown} is there already and is left as it is; --config FILE writes elsewhere"
        )),
        _ => Failure::failed(format!("cannot write {shown}: {e}")),
    })?;
    let written = file.write_all(config::EXAMPLE.as_bytes());
    written
        .and_then(|()| file.sync_all())
        .map_err(|e| Failure::failed(format!("cannot write {shown}: {e}")))?;
    common::print(&format!(
        "{shown} is written. Next: look through it, then `keyproof run --dry-run`.\n"
    ))
}

fn policy(args: Args, role: Role) -> Result<Exit, Failure> {
    let mut flags = Layer::default();
    flags.flag("archive_kms_key", args.archive_kms_key);
    flags.flag("signing_key", args.signing_key);
    flags.flag("role_name", args.role_name);
    let (config, _) = common::load(&args.common, flags)?;
    let named = Named {
        buckets: args.bucket,
        keys: args.key,
    };
    if let Some(odd) = named.buckets.iter().find(|place| !is_place(place)) {
        return Err(Failure::usage(format!(
            "--bucket {odd}: a bucket name, or bucket/prefix, without wildcards"
        )));
    }
    if let Some(odd) = named.keys.iter().find(|key| !is_key(key)) {
        return Err(Failure::usage(format!(
            "--key {odd}: the full ARN of a KMS key"
        )));
    }
    let of_buckets = matches!(role, Role::Sampler | Role::SourceReader);
    if of_buckets && named.buckets.is_empty() {
        eprintln!("keyproof: no --bucket: put your own in the place of the names in capitals");
    }
    let policy = run::policy(role, &config, &named).map_err(common::failure)?;
    common::print(&format!("{policy:#}\n"))
}

fn is_place(text: &str) -> bool {
    let bucket = text.split('/').next().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let harmless = |c: char| !c.is_control() && !matches!(c, '*' | '?' | '$');
    (3..=63).contains(&bucket.len()) && bucket.bytes().all(plain) && text.chars().all(harmless)
}

fn is_key(text: &str) -> bool {
    let is_arn = text.starts_with("arn:") && text.contains(":kms:") && text.contains(":key/");
    is_arn && !text.contains(['*', '?', '$'])
}
