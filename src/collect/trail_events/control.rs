//! Events that turn good clusters bad after their launch, repair them, or blind the trail.

use super::record::{Object, Record};
use super::{Reader, RecordError};
use crate::collect::scope::text;
use crate::model::datasets::ControlEvent;
use crate::model::ids::{AccountId, Region};
use crate::model::key_reference::KeyReference;
use crate::model::words::ControlEffect;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Key,
    Alias,
    Bucket,
    SecurityConfiguration,
    Trail,
}

/// A kind of event that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub source: &'static str,
    pub name: &'static str,
    pub about: About,
    pub effect: ControlEffect,
}

const KMS: &str = "kms.amazonaws.com";
const S3: &str = "s3.amazonaws.com";
const EMR: &str = super::EVENT_SOURCE;
const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";

/// Every kind, those last that an account may have very many of.
pub const KINDS: [Kind; 19] = [
    kind_of(KMS, "DisableKey", About::Key, ControlEffect::Breaks),
    kind_of(KMS, "EnableKey", About::Key, ControlEffect::Repairs),
    kind_of(
        KMS,
        "ScheduleKeyDeletion",
        About::Key,
        ControlEffect::Breaks,
    ),
    kind_of(KMS, "CancelKeyDeletion", About::Key, ControlEffect::Repairs),
    kind_of(KMS, "PutKeyPolicy", About::Key, ControlEffect::Changes),
    kind_of(KMS, "UpdateAlias", About::Alias, ControlEffect::Changes),
    kind_of(KMS, "DeleteAlias", About::Alias, ControlEffect::Breaks),
    kind_of(
        S3,
        "PutBucketEncryption",
        About::Bucket,
        ControlEffect::Changes,
    ),
    kind_of(
        S3,
        "DeleteBucketEncryption",
        About::Bucket,
        ControlEffect::Breaks,
    ),
    kind_of(S3, "PutBucketPolicy", About::Bucket, ControlEffect::Changes),
    kind_of(
        EMR,
        "CreateSecurityConfiguration",
        About::SecurityConfiguration,
        ControlEffect::Changes,
    ),
    kind_of(
        EMR,
        "DeleteSecurityConfiguration",
        About::SecurityConfiguration,
        ControlEffect::Changes,
    ),
    kind_of(
        CLOUDTRAIL,
        "StopLogging",
        About::Trail,
        ControlEffect::Blinds,
    ),
    kind_of(
        CLOUDTRAIL,
        "DeleteTrail",
        About::Trail,
        ControlEffect::Blinds,
    ),
    kind_of(
        CLOUDTRAIL,
        "UpdateTrail",
        About::Trail,
        ControlEffect::Blinds,
    ),
    kind_of(
        CLOUDTRAIL,
        "PutEventSelectors",
        About::Trail,
        ControlEffect::Blinds,
    ),
    kind_of(
        CLOUDTRAIL,
        "StartLogging",
        About::Trail,
        ControlEffect::Repairs,
    ),
    kind_of(KMS, "RevokeGrant", About::Key, ControlEffect::Breaks),
    kind_of(KMS, "CreateGrant", About::Key, ControlEffect::Repairs),
];

const fn kind_of(
    source: &'static str,
    name: &'static str,
    about: About,
    effect: ControlEffect,
) -> Kind {
    Kind {
        source,
        name,
        about,
        effect,
    }
}

/// The kind of an event; `None` for those that are not kept.
pub fn kind(source: &str, name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|k| k.source == source && k.name == name)
}

/// Reads a record of that kind.
pub(super) fn read(
    reader: &Reader<'_>,
    record: &Record<'_>,
    kind: &Kind,
) -> Result<ControlEvent, RecordError> {
    let head = record.head()?;
    let resource = resource(record, kind.about, &head.account_id, &head.region);
    Ok(ControlEvent {
        scheduled_for: reader.scheduled_for,
        account_id: head.account_id,
        region: head.region,
        event_id: head.event_id,
        event_at: head.event_at,
        event_ms: head.event_at.0,
        read_from: reader.read_from,
        event_source: kind.source.to_owned(),
        event_name: kind.name.to_owned(),
        resource,
        caller_arn: record.caller().arn,
        error_code: head.error_code,
        effect: kind.effect,
    })
}

/// What was called about, as an ARN where the record gives one or the request names a key.
fn resource(
    record: &Record<'_>,
    about: About,
    account: &AccountId,
    region: &Region,
) -> Option<String> {
    let request = record.object("requestParameters");
    let asked = |name: &str| {
        let value = request?.text(name)?;
        text(&Some(value.to_owned()))
    };
    let key = |name| {
        let named = KeyReference::read(&asked(name)?, account, region)?;
        (!matches!(named, KeyReference::Unparseable(_))).then(|| named.to_string())
    };
    match about {
        About::Key => named_resource(record, ":key/").or_else(|| key("keyId")),
        About::Alias => key("aliasName").or_else(|| named_resource(record, ":alias/")),
        About::Bucket => asked("bucketName"),
        About::SecurityConfiguration => asked("name"),
        About::Trail => asked("name")
            .or_else(|| asked("trailName"))
            .or_else(|| named_resource(record, ":trail/")),
    }
}

/// The first ARN among the record's `resources` that holds `part`.
fn named_resource(record: &Record<'_>, part: &str) -> Option<String> {
    let arns = record
        .list("resources")
        .iter()
        .filter_map(Object::new)
        .filter_map(|resource| resource.text("ARN"));
    let mut wanted = arns.filter(|arn| arn.starts_with("arn:") && arn.contains(part));
    text(&wanted.next().map(str::to_owned))
}
