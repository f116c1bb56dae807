//! Opening what the configuration names: store, signer, chain.

use std::path::{Path, PathBuf};

use crate::archive::chain::Chain;
use crate::archive::file_store::FileStore;
use crate::archive::layout;
use crate::archive::local_signer::{KeyFileError, LocalSigner};
use crate::archive::protection::is_required;
use crate::archive::signer::Signer;
use crate::archive::store::{Fetch, Listed, Protection, Store, StoreError};
use crate::aws::{AwsOptions, AwsShell, KmsSigner, S3Options, S3Store, S3Url, SigningMode};
use crate::config::{ArchiveUrl, Config, SigningKey};
use crate::model::datasets::ArchiveCheck;
use crate::model::words::CheckOutcome;
use crate::seal::{Lacking, PublicKey};
use crate::time::Date;

use super::{RunError, Shell};

/// A failure of storage, with the archive's address.
pub fn store_error(url: String, source: StoreError) -> RunError {
    RunError::Store { url, source }
}

/// A connection to AWS as the configuration wants it.
pub async fn connect(shell: &Shell, config: &Config) -> Result<AwsShell, RunError> {
    let mut options = AwsOptions::new(shell.clock.clone());
    options.profile = config.profile.clone();
    options.region = config.region.clone();
    options.endpoint_url = config.endpoint_url.clone();
    options.attempt_timeout = config.attempt_timeout;
    options.static_credentials = shell.credentials.clone();
    Ok(AwsShell::connect(options).await?)
}

/// The archive that the configuration names, to be read. A store to write to is had by
/// [`Readable::for_writing`] alone, so that nobody writes without having asked how it is protected.
pub struct Readable(Box<dyn Store>);

/// The archive, to be written to: it protects what is written, or somebody allowed that it does not.
pub struct Writable {
    pub store: Box<dyn Store>,
    protections: Vec<Protection>,
}

impl Readable {
    pub fn as_fetch(&self) -> &dyn Fetch {
        self.0.as_fetch()
    }

    pub fn url(&self) -> String {
        self.0.url()
    }

    /// How storage protects the archive, as far as the caller may ask.
    pub async fn protections(&self) -> Vec<Protection> {
        self.0.protections().await
    }

    /// Asks storage how it protects the archive, by the rights of the caller. Refuses one that fails
    /// what an archive cannot do without, unless the configuration allows it. What could not be asked
    /// refuses nothing: it is sealed as unknown.
    pub async fn for_writing(self, config: &Config) -> Result<Writable, RunError> {
        let writable = Writable {
            protections: self.protections().await,
            store: self.0,
        };
        let failed: Vec<String> = writable
            .required(CheckOutcome::Fail)
            .map(|p| format!("{} ({})", p.check, p.detail))
            .collect();
        if config.allow_unprotected || failed.is_empty() {
            return Ok(writable);
        }
        Err(RunError::Unprotected {
            url: writable.store.url(),
            failed: failed.join("; "),
        })
    }
}

impl Writable {
    /// What was not found of the protection that an archive cannot do without.
    pub fn lacking(&self) -> Lacking {
        let named = |outcome| self.required(outcome).map(|p| p.check.to_owned()).collect();
        Lacking {
            failed: named(CheckOutcome::Fail),
            unknown: named(CheckOutcome::Unknown),
        }
    }

    /// Every check as a row of dataset `archive`.
    pub fn checks(&self, date: Date) -> Vec<ArchiveCheck> {
        let row = |p: &Protection| ArchiveCheck {
            scheduled_for: date,
            check_name: p.check.to_owned(),
            outcome: p.outcome,
            required: is_required(p.check),
            detail: p.detail.clone(),
        };
        self.protections.iter().map(row).collect()
    }

    fn required(&self, outcome: CheckOutcome) -> impl Iterator<Item = &Protection> {
        let checks = self.protections.iter();
        checks.filter(move |p| p.outcome == outcome && is_required(p.check))
    }
}

/// Opens the archive that the configuration names. `aws` is asked for only where it is on S3.
pub async fn open_store(
    shell: &Shell,
    config: &Config,
    aws: Option<&AwsShell>,
) -> Result<Readable, RunError> {
    connect_store(shell, config, aws).await.map(Readable)
}

/// The store at the configured address; but for a copy of the chain it is had by [`open_store`].
pub async fn connect_store(
    shell: &Shell,
    config: &Config,
    aws: Option<&AwsShell>,
) -> Result<Box<dyn Store>, RunError> {
    let url = config.archive.to_string();
    match &config.archive {
        ArchiveUrl::Folder(path) => {
            let store =
                FileStore::at(&path.display().to_string()).map_err(|e| store_error(url, e))?;
            Ok(Box::new(store))
        }
        ArchiveUrl::S3 { .. } => {
            let connected;
            let aws = match aws {
                Some(aws) => aws,
                None => {
                    connected = connect(shell, config).await?;
                    &connected
                }
            };
            let s3: S3Url = url
                .parse()
                .map_err(|e| RunError::Usage(format!("{url}: {e}")))?;
            let options = S3Options {
                kms_key: config.archive_kms_key.clone(),
                expected_owner: config.archive_owner.clone(),
                lock: config.archive_lock,
                retention_days: Some(config.retention_days),
            };
            Ok(Box::new(S3Store::connect(aws, s3, options).await))
        }
    }
}

/// Where the signing key of a local archive is unless the configuration says otherwise: beside the
/// archive, never inside it.
fn key_beside(config: &Config) -> Result<PathBuf, RunError> {
    match &config.archive {
        ArchiveUrl::Folder(path) => {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(".signing-key.pem");
            Ok(path.with_file_name(name))
        }
        ArchiveUrl::S3 { .. } => Err(RunError::Usage(
            "an archive on s3:// needs --signing-key: the ARN of a KMS key (ECC_NIST_P256), or a \
             PEM file made by `keyproof keys --create FILE`"
                .to_owned(),
        )),
    }
}

/// Where the signing key is.
pub enum KeyAt<'a> {
    File(PathBuf),
    Kms(&'a SigningKey),
}

/// Where the configuration has the signing key; a file inside the archive is refused.
pub fn key_at(config: &Config) -> Result<KeyAt<'_>, RunError> {
    let path = match &config.signing_key {
        Some(SigningKey::File(path)) => path.clone(),
        Some(kms) => return Ok(KeyAt::Kms(kms)),
        None => key_beside(config)?,
    };
    refuse_inside(&config.archive, &path)?;
    Ok(KeyAt::File(path))
}

/// Whether a key file may be created: only where nothing was ever signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFile {
    Load,
    CreateIfMissing,
}

/// The signer that the configuration names.
pub async fn open_signer(
    shell: &Shell,
    config: &Config,
    aws: Option<&AwsShell>,
    missing: KeyFile,
) -> Result<Box<dyn Signer>, RunError> {
    let path = match key_at(config)? {
        KeyAt::File(path) => path,
        KeyAt::Kms(key) => return open_key(shell, config, aws, key).await,
    };
    match LocalSigner::load(&path) {
        Err(KeyFileError::Missing(_)) if missing == KeyFile::CreateIfMissing => {
            if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder).map_err(|e| RunError::local(folder, e))?;
            }
            Ok(Box::new(LocalSigner::create(&path)?))
        }
        loaded => Ok(Box::new(loaded?)),
    }
}

/// A key that signs, wherever it is; a file must exist.
pub async fn open_key(
    shell: &Shell,
    config: &Config,
    aws: Option<&AwsShell>,
    key: &SigningKey,
) -> Result<Box<dyn Signer>, RunError> {
    match key {
        SigningKey::File(path) => {
            refuse_inside(&config.archive, path)?;
            Ok(Box::new(LocalSigner::load(path)?))
        }
        SigningKey::Kms { arn, raw } => {
            let mode = if *raw {
                SigningMode::Raw
            } else {
                SigningMode::Digest
            };
            let connected;
            let aws = match aws {
                Some(aws) => aws,
                None => {
                    connected = connect(shell, config).await?;
                    &connected
                }
            };
            Ok(Box::new(KmsSigner::connect(aws, arn, mode).await?))
        }
    }
}

/// The public half of the recovery key that the configuration names; the private half stays where it
/// is.
pub async fn open_recovery(
    shell: &Shell,
    config: &Config,
    aws: Option<&AwsShell>,
) -> Result<Option<PublicKey>, RunError> {
    match &config.recovery_key {
        None => Ok(None),
        Some(SigningKey::File(path)) => read_public_key(path).map(Some),
        Some(kms) => {
            let signer = open_key(shell, config, aws, kms).await?;
            Ok(Some(signer.public_key().clone()))
        }
    }
}

/// A public key file that a person named.
pub fn read_public_key(path: &Path) -> Result<PublicKey, RunError> {
    let usage =
        |detail: String| RunError::Usage(format!("public key file {}: {detail}", path.display()));
    let pem = super::small_text(path).map_err(|e| usage(e.to_string()))?;
    PublicKey::from_pem(&pem).map_err(|e| usage(e.to_string()))
}

/// Refuses to write a file of another kind into the archive.
pub fn refuse_inside_archive(config: &Config, file: &Path) -> Result<(), RunError> {
    match &config.archive {
        ArchiveUrl::Folder(root) if resolved(file)?.starts_with(resolved(root)?) => {
            Err(RunError::Usage(format!(
                "{} lies inside the archive; write it elsewhere",
                file.display()
            )))
        }
        _ => Ok(()),
    }
}

/// A private key inside the archive would be handed to everyone who copies it.
fn refuse_inside(archive: &ArchiveUrl, key: &Path) -> Result<(), RunError> {
    let ArchiveUrl::Folder(root) = archive else {
        return Ok(());
    };
    if resolved(key)?.starts_with(resolved(root)?) {
        return Err(RunError::Usage(format!(
            "the signing key {} lies inside the archive; put it elsewhere",
            key.display()
        )));
    }
    Ok(())
}

/// Where a path leads, links and `..` followed; what does not exist yet is taken as written.
fn resolved(path: &Path) -> Result<PathBuf, RunError> {
    use std::path::Component;
    let absolute = std::path::absolute(path).map_err(|e| RunError::local(path, e))?;
    let mut at = PathBuf::new();
    for component in absolute.components() {
        if component == Component::ParentDir {
            at.pop();
        } else {
            at.push(component);
            at = at.canonicalize().unwrap_or(at);
        }
    }
    Ok(at)
}

/// What stands at the archive's address.
pub enum Standing {
    /// Nothing at all.
    Empty,
    /// A chain, signed by the key that it names first.
    Chain(Box<Chain>),
}

/// Looks at what is there before anything is written.
pub async fn look(fetch: &dyn Fetch, signer: &dyn Signer) -> Result<Standing, RunError> {
    match try_chain(fetch).await? {
        Some(chain) => {
            chain.check_signer(signer.public_key())?;
            Ok(Standing::Chain(Box::new(chain)))
        }
        None => match find(fetch).await? {
            AtUrl::Foreign => Err(RunError::NotOurs { url: fetch.url() }),
            // Whose keys are there, if any, is for the beginning to judge.
            AtUrl::Nothing | AtUrl::Archive => Ok(Standing::Empty),
        },
    }
}

/// What a look from outside tells, before any key is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtUrl {
    /// Nothing at all.
    Nothing,
    /// A chain, whoever's it is; or keys alone: a beginning that was cut off.
    Archive,
    /// Files of something else.
    Foreign,
}

/// Looks at the archive's address. An archive is recognised by its chain, so that its evidence,
/// which grows for years, is not listed.
pub async fn find(fetch: &dyn Fetch) -> Result<AtUrl, RunError> {
    if !list(fetch, layout::CHAIN).await?.is_empty() {
        return Ok(AtUrl::Archive);
    }
    let there = list(fetch, "").await?;
    Ok(if there.is_empty() {
        AtUrl::Nothing
    } else if there.iter().all(|o| o.name.starts_with(layout::KEYS)) {
        AtUrl::Archive
    } else {
        AtUrl::Foreign
    })
}

/// Every object below `prefix`; none where the place does not exist yet.
async fn list(fetch: &dyn Fetch, prefix: &str) -> Result<Vec<Listed>, RunError> {
    match fetch.list(prefix).await {
        Err(StoreError::Absent { .. }) => Ok(Vec::new()),
        other => other.map_err(|e| store_error(fetch.url(), e)),
    }
}

/// The chain of an archive, by the keys that it names itself. Whose they are, only a pin or a
/// remembered archive can say.
pub async fn read_chain(fetch: &dyn Fetch) -> Result<Chain, RunError> {
    match try_chain(fetch).await? {
        Some(chain) => Ok(chain),
        None => Err(RunError::NoChain { url: fetch.url() }),
    }
}

/// The same; none where no chain was begun. What lies beyond its end is told: a removed change of key
/// looks like that, and so does somebody who may write there.
pub async fn try_chain(fetch: &dyn Fetch) -> Result<Option<Chain>, RunError> {
    let chain = Chain::read(fetch).await?;
    if let Some(stray) = chain.as_ref().and_then(Chain::stray) {
        let url = fetch.url();
        tracing::warn!(
            "{stray} lies beyond the end of the chain of {url}, signed by no key that the chain names, \
             and counts for nothing; `keyproof verify {url}` tells whether entries are missing before it"
        );
    }
    Ok(chain)
}
