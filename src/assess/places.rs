//! Where logs go beside `LogUri`: steps and sessions with settings of their own, CloudWatch, and
//! applications that write to S3 themselves. One [`Place`] for each destination and key.
//!
//! | channel | key that decides |
//! |---|---|
//! | C2 | the step's own, else the cluster's, field by field |
//! | C5 | the log group's; what EMR was told is only a wish |
//! | C6 | the session's own, for S3; the log group's, for CloudWatch |
//! | C7 | that of the security configuration's EMRFS encryption for the bucket |

use std::sync::Arc;

use super::case::Case;
use super::inputs::{LookupError, Lookups};
use super::key_use::{KeyUse, Standing, UsedAt};
use super::release::Release;
use crate::model::datasets::{EmrSession, EmrStep, LogBucket};
use crate::model::emrfs::Emrfs;
use crate::model::key_reference::KeyReference;
use crate::model::s3_location::S3Location;
use crate::model::words::{Encryption, Lookup, Outcome};

/// One place that a channel writes to, and what facts prove of its encryption there.
pub(super) struct Place {
    /// `C2`, `C5`, `C6` or `C7`.
    pub channel: &'static str,
    /// URI or log group.
    pub destination: String,
    pub bucket: Option<String>,
    /// Whether this is a log group.
    pub is_group: bool,
    /// Key as the setting names it.
    pub requested: Option<String>,
    /// Position in the cluster's keys of the key that decides.
    pub key: Option<usize>,
    pub effective: Encryption,
    /// The word that says why; also the reason of findings.
    pub basis: &'static str,
    /// Whether this is under a customer key.
    pub outcome: Outcome,
    /// Steps or sessions that write here so, by id; the property, for applications.
    pub from: Vec<String>,
    /// Rows that were read.
    pub facts: Vec<String>,
    /// IAM action that was refused.
    pub denied_action: Option<String>,
}

/// A conclusion about a place.
type Said = (Outcome, Encryption, &'static str);

const fn unknown(basis: &'static str) -> Said {
    (Outcome::Unknown, Encryption::Unknown, basis)
}

/// Gathers the places of one cluster and adds their keys to `keys`.
pub(super) fn gather(
    case: &Case<'_>,
    steps: &[EmrStep],
    sessions: &[EmrSession],
    keys: &mut Vec<KeyUse>,
    lookups: &dyn Lookups,
) -> Result<Vec<Place>, LookupError> {
    let mut gathering = Gathering {
        case,
        keys,
        lookups,
        places: Vec::new(),
    };
    for step in steps {
        gathering.step(step)?;
    }
    if let Some(name) = case.cluster.log_group() {
        let requested = case.cluster.cloudwatch_key.clone();
        gathering.group("C5", name, requested, None)?;
    }
    for session in sessions {
        gathering.session(session)?;
    }
    for (property, uri) in case.cluster.application_log_dirs() {
        gathering.application(property, uri)?;
    }
    Ok(gathering.places)
}

struct Gathering<'g, 'c> {
    case: &'g Case<'c>,
    keys: &'g mut Vec<KeyUse>,
    lookups: &'g dyn Lookups,
    places: Vec<Place>,
}

impl Gathering<'_, '_> {
    /// Adds a place, or its sources to the one that is known already.
    fn add(&mut self, place: Place) {
        let same = |known: &&mut Place| {
            (known.channel, &known.destination, &known.requested)
                == (place.channel, &place.destination, &place.requested)
        };
        match self.places.iter_mut().find(same) {
            None => self.places.push(place),
            Some(known) => {
                known.from.extend(place.from);
                known.facts.extend(place.facts);
            }
        }
    }

    fn reference(&self, named: Option<&str>) -> Option<KeyReference> {
        let cluster = self.case.cluster;
        KeyReference::read(named?, &cluster.account_id, &cluster.region)
    }

    /// Adds a key to the cluster's, and says what it proves.
    fn key(
        &mut self,
        reference: KeyReference,
        channel: &'static str,
        at: UsedAt,
    ) -> Result<(usize, Said), LookupError> {
        let position = KeyUse::add(self.keys, reference, channel, at, self.lookups)?;
        let said = match self.keys[position].standing() {
            Standing::Customer => (Outcome::Pass, Encryption::CustomerKey, "customer_key"),
            Standing::AwsManaged => (Outcome::Fail, Encryption::AwsManagedKey, "aws_managed_key"),
            Standing::NotFound => unknown("key_not_found"),
            Standing::NotDescribed => unknown("key_not_described"),
            Standing::Unparseable => unknown("key_reference_unparseable"),
        };
        Ok((position, said))
    }

    fn bucket(&self, location: Option<&S3Location>) -> Result<Option<Arc<LogBucket>>, LookupError> {
        match location {
            Some(location) => self.lookups.bucket(&location.bucket),
            None => Ok(None),
        }
    }

    /// A step's own settings replace the cluster's, each for itself
    /// (<https://docs.aws.amazon.com/emr/latest/APIReference/API_S3MonitoringConfiguration.html>).
    fn step(&mut self, step: &EmrStep) -> Result<(), LookupError> {
        let cluster = self.case.cluster;
        let Some(uri) = step.log_uri.as_ref().or(cluster.log_uri.as_ref()) else {
            // A key, and no place to write to.
            return Ok(());
        };
        let requested = step.log_key.clone().or_else(|| cluster.log_key.clone());
        let release = cluster.release_label.as_deref().map(Release::parse);
        let gate = match release {
            Some(Some(release)) if release.honours_log_key() => None,
            Some(Some(_)) => Some("release_does_not_honour_key"),
            _ => Some("release_unparseable"),
        };
        let fact = format!(
            "emr_step/{}/{}/{}/{}",
            step.account_id, step.region, step.cluster_id, step.step_id
        );
        let (id, uri) = (step.step_id.clone(), uri.clone());
        self.archive("C2", uri, requested, gate, (id, fact))
    }

    /// Logs archived to S3 under a named key.
    fn archive(
        &mut self,
        channel: &'static str,
        uri: String,
        requested: Option<String>,
        gate: Option<&'static str>,
        (id, fact): (String, String),
    ) -> Result<(), LookupError> {
        let location = S3Location::parse(&uri);
        let bucket = self.bucket(location.as_ref())?;
        let default = bucket.as_ref().and_then(|b| b.default_algorithm.as_deref());
        let mut key = None;
        let said = match (&location, self.reference(requested.as_deref())) {
            (None, _) => unknown("log_uri_unparseable"),
            // As for C1: a bucket default is no proof, and only one that does the same leaves no doubt.
            (Some(_), None) if default == Some("AES256") => {
                (Outcome::Fail, Encryption::SseS3, "no_key")
            }
            (Some(_), None) => (Outcome::Fail, Encryption::Unknown, "no_key"),
            (Some(_), Some(reference)) => {
                let at = UsedAt::Bucket(bucket.clone());
                let (position, said) = self.key(reference, channel, at)?;
                key = Some(position);
                match gate {
                    // An AWS managed key fails whatever the release does with it.
                    Some(gate) if said.0 != Outcome::Fail => unknown(gate),
                    _ => said,
                }
            }
        };
        let mut facts = vec![fact];
        facts.extend(bucket.as_ref().map(|b| format!("log_bucket/{}", b.bucket)));
        self.add(Place {
            destination: location.as_ref().map_or(uri, ToString::to_string),
            bucket: location.map(|l| l.bucket),
            requested,
            key,
            from: vec![id],
            facts,
            ..place(channel, said)
        });
        Ok(())
    }

    /// CloudWatch encrypts by the group's own key, from the moment it was set
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html>).
    fn group(
        &mut self,
        channel: &'static str,
        name: String,
        requested: Option<String>,
        session: Option<(String, String)>,
    ) -> Result<(), LookupError> {
        let cluster = self.case.cluster;
        let row = self.lookups.log_group(cluster, &name)?;
        let release = cluster.release_label.as_deref().map(Release::parse);
        let gate = match release {
            // Sessions exist only where they can be logged.
            _ if session.is_some() => None,
            Some(Some(release)) if release.logs_to_cloudwatch() => None,
            Some(Some(_)) => Some("release_without_cloudwatch"),
            _ => Some("release_unparseable"),
        };
        let mut key = None;
        let lookup = row.as_ref().map(|row| row.lookup);
        let own = row.as_ref().and_then(|row| row.kms_key.as_deref());
        let said = match (lookup, self.reference(own)) {
            (Some(Lookup::Found), None) => (
                Outcome::Fail,
                Encryption::AwsManagedKey,
                "log_group_without_key",
            ),
            (Some(Lookup::Found), Some(reference)) => {
                let at = UsedAt::LogGroup(cluster.region.clone());
                let (position, said) = self.key(reference, channel, at)?;
                key = Some(position);
                said
            }
            (Some(Lookup::NotFound), _) => unknown("log_group_not_found"),
            _ => unknown("log_group_not_read"),
        };
        let said = gate.map_or(said, unknown);
        let (from, mut facts) = match session {
            Some((id, fact)) => (vec![id], vec![fact]),
            None => (vec![], vec![]),
        };
        facts.extend(row.as_ref().map(|row| {
            let (account, region) = (&row.account_id, &row.region);
            format!("log_group/{account}/{region}/{}", row.log_group)
        }));
        self.add(Place {
            destination: name,
            is_group: true,
            requested,
            key,
            from,
            facts,
            denied_action: row.and_then(|row| row.denied_action),
            ..place(channel, said)
        });
        Ok(())
    }

    fn session(&mut self, session: &EmrSession) -> Result<(), LookupError> {
        let cluster = self.case.cluster;
        let fact = format!(
            "emr_session/{}/{}/{}/{}",
            session.account_id, session.region, session.cluster_id, session.session_id
        );
        let from = (session.session_id.clone(), fact);
        if session.s3_enabled == Some(true) {
            match session.log_uri.clone() {
                // Whether such a session falls back to the cluster's settings is documented nowhere.
                None => self.add(Place {
                    requested: session.s3_key.clone(),
                    from: vec![from.0.clone()],
                    facts: vec![from.1.clone()],
                    ..place("C6", unknown("session_place_not_named"))
                }),
                Some(uri) if session.s3_key.is_none() && cluster.log_key.is_some() => {
                    let location = S3Location::parse(&uri);
                    self.add(Place {
                        destination: uri,
                        bucket: location.map(|l| l.bucket),
                        from: vec![from.0.clone()],
                        facts: vec![from.1.clone()],
                        ..place("C6", unknown("session_key_not_named"))
                    });
                }
                Some(uri) => {
                    self.archive("C6", uri, session.s3_key.clone(), None, from.clone())?;
                }
            }
        }
        if session.cloudwatch_enabled == Some(true) {
            let requested = session.cloudwatch_key.clone();
            match session.log_group.clone() {
                Some(name) => self.group("C6", name, requested, Some(from))?,
                None => self.add(Place {
                    is_group: true,
                    requested,
                    from: vec![from.0],
                    facts: vec![from.1],
                    ..place("C6", unknown("session_place_not_named"))
                }),
            }
        }
        Ok(())
    }

    /// Applications write through EMRFS, which follows the security configuration.
    fn application(&mut self, property: &str, uri: &str) -> Result<(), LookupError> {
        let case = self.case;
        let location = S3Location::parse(uri);
        let bucket = self.bucket(location.as_ref())?;
        let mut requested = None;
        let mut key = None;
        let said = match &location {
            None => unknown("destination_unparseable"),
            Some(location) => match emrfs(case, &location.bucket) {
                Err(basis) => unknown(basis),
                Ok(None) => by_default(case, bucket.as_deref()),
                Ok(Some(emrfs)) => {
                    requested = emrfs.key.map(str::to_owned);
                    match (emrfs.mode, self.reference(emrfs.key)) {
                        (Some("SSE-S3"), _) => (Outcome::Fail, Encryption::SseS3, "emrfs_sse_s3"),
                        // Without a key S3 takes the AWS managed one.
                        (Some("SSE-KMS"), None) => {
                            (Outcome::Fail, Encryption::AwsManagedKey, "aws_managed_key")
                        }
                        (Some("SSE-KMS" | "CSE-KMS"), Some(reference)) => {
                            let at = UsedAt::Bucket(bucket.clone());
                            let (position, said) = self.key(reference, "C7", at)?;
                            key = Some(position);
                            said
                        }
                        (Some("CSE-Custom"), _) => unknown("custom_key_provider"),
                        _ => unknown("security_configuration_unreadable"),
                    }
                }
            },
        };
        let mut facts = Vec::new();
        facts.extend(bucket.as_ref().map(|b| format!("log_bucket/{}", b.bucket)));
        self.add(Place {
            destination: location
                .as_ref()
                .map_or(uri.to_owned(), ToString::to_string),
            bucket: location.map(|l| l.bucket),
            requested,
            key,
            from: vec![property.to_owned()],
            facts,
            ..place("C7", said)
        });
        Ok(())
    }
}

/// What the security configuration that the cluster was launched with does for a bucket; `None` where
/// it encrypts nothing there. The error is the word for why nobody can tell.
fn emrfs<'c>(case: &'c Case<'_>, bucket: &str) -> Result<Option<Emrfs<'c>>, &'static str> {
    if case.configuration_name().is_none() {
        return Ok(None);
    }
    let Some(row) = &case.security_configuration else {
        return Err("security_configuration_not_read");
    };
    match case.configuration_made_later() {
        Some(false) => {}
        Some(true) => return Err("security_configuration_created_after_launch"),
        None => return Err("security_configuration_time_not_known"),
    }
    let unreadable = "security_configuration_unreadable";
    let document = case.encryption.as_ref().as_ref().ok_or(unreadable)?;
    match Emrfs::of(document, bucket) {
        // A part that was left out because its form is not known may be the one that decides.
        None if row.unknown_keys > 0 => Err(unreadable),
        found => Ok(found),
    }
}

/// What lies in a bucket to which EMRFS adds no encryption of its own. The default may apply; EMRFS can
/// be told otherwise in settings that are not kept, so a customer key there is no proof.
fn by_default(case: &Case<'_>, bucket: Option<&LogBucket>) -> Said {
    let Some(row) = bucket else {
        return unknown("bucket_not_read");
    };
    let cluster = case.cluster;
    let owner = row.account_id.as_ref().unwrap_or(&cluster.account_id);
    let region = row.region.as_ref().unwrap_or(&cluster.region);
    let named = row
        .default_key
        .as_deref()
        .and_then(|key| KeyReference::read(key, owner, region));
    match (row.default_algorithm.as_deref(), named) {
        (Some("AES256"), _) => (Outcome::Fail, Encryption::SseS3, "no_emrfs_encryption"),
        (Some("aws:kms" | "aws:kms:dsse"), None | Some(KeyReference::AwsManaged(_))) => (
            Outcome::Fail,
            Encryption::AwsManagedKey,
            "no_emrfs_encryption",
        ),
        (Some(_), _) => unknown("bucket_default_not_proof"),
        (None, _) => unknown("bucket_not_read"),
    }
}

fn place(channel: &'static str, (outcome, effective, basis): Said) -> Place {
    Place {
        channel,
        destination: String::new(),
        bucket: None,
        is_group: false,
        requested: None,
        key: None,
        effective,
        basis,
        outcome,
        from: vec![],
        facts: vec![],
        denied_action: None,
    }
}
