//! The signing key: whether it is there, signs, and is the archive's.

use crate::archive::local_signer::KeyFileError;
use crate::archive::signer::{SignError, Signer};
use crate::collect::api::CallerIdentity;
use crate::config::Config;
use crate::report::doctor_summary::{Line, State};
use crate::run::archive::{AtUrl, KeyAt, KeyFile, key_at, open_recovery, open_signer};
use crate::run::running::Asking;
use crate::run::{RunError, Shell};

use super::evidence::{Seen, needed};
use super::local::can_make;
use super::{CONFIGURATION, CREDENTIALS};

/// What is signed. Entries are signed behind `DSSEv1 `, so that nobody can take this for one.
const MESSAGE: &[u8] = b"keyproof doctor asks whether this key signs: this is no entry of a chain";

/// Tries the signing key.
pub async fn look(
    shell: &Shell,
    config: &Config,
    known: Option<(&Asking, &CallerIdentity)>,
    seen: Option<&Seen>,
) -> Vec<Line> {
    let at = match key_at(config) {
        Ok(at) => at,
        Err(_) => return vec![Line::needs(CONFIGURATION)],
    };
    if matches!(at, KeyAt::Kms(_)) && known.is_none() {
        return vec![Line::needs(CREDENTIALS)];
    }
    let aws = known.map(|(asking, _)| &*asking.aws);
    let signer = match open_signer(shell, config, aws, KeyFile::Load).await {
        Ok(signer) => signer,
        Err(RunError::LocalKey(KeyFileError::Missing(path))) => {
            let begins = match seen {
                None => return needed(),
                Some(seen) => seen.at == AtUrl::Nothing,
            };
            if !begins {
                let error = KeyFileError::Missing(path);
                return vec![Line::new(State::Fail, error.to_string())];
            }
            return vec![match can_make(&path) {
                Ok(()) => Line::note(format!("the first run makes {}", path.display())),
                Err(detail) => Line::fail(detail, "name another --signing-key"),
            }];
        }
        Err(error) => return vec![failed(&error)],
    };
    let mut lines = vec![tried(signer.as_ref()).await];
    match seen {
        Some(seen) => {
            if let Some(chain) = &seen.chain {
                lines.push(match chain.check_signer(signer.public_key()) {
                    Ok(()) => Line::pass("it is the key that the archive is sealed with"),
                    Err(error) => Line::new(State::Fail, error.to_string()),
                });
            } else if let Err(error) = open_recovery(shell, config, aws).await {
                let next = "mend recovery_key: entry 1 fixes it for good";
                lines.push(Line::fail(format!("the recovery key: {error}"), next));
            }
        }
        None => lines.extend(needed()),
    }
    lines
}

async fn tried(signer: &dyn Signer) -> Line {
    let key = signer.describe();
    let signature = match signer.sign(MESSAGE).await {
        Ok(signature) => signature,
        Err(error) => return failed(&RunError::Sign(error)),
    };
    match signer.public_key().verify(MESSAGE, &signature) {
        Ok(()) => {
            let keyid = signer.public_key().keyid();
            let short = keyid.as_str().chars().take(12).collect::<String>();
            Line::pass(format!("{key} signs, key {short}"))
        }
        Err(error) => {
            let what = format!("{key} signs, and its signature does not verify: {error}");
            Line::fail(what, "look at signing_mode, and at what answers as KMS")
        }
    }
}

fn failed(error: &RunError) -> Line {
    let state = match error {
        RunError::Sign(SignError::Unreachable { .. }) => State::Unknown,
        _ => State::Fail,
    };
    Line::new(state, error.to_string())
}
