//! Where a cluster's logs go, and what facts prove of their encryption there.

use super::case::{Case, LogPlace, StillUploaded};
use super::key_use::{KeyUse, Standing};
use super::places::Place;
use super::release::Release;
use super::retained::{Retained, Upload};
use crate::model::datasets::Channel;
use crate::model::table::Dataset;
use crate::model::text::Text;
use crate::model::words::Encryption;

/// Appends the channels of a cluster: C1 where `LogUri` is set; C3 and C4, of which AWS keeps copies unless
/// a setting says otherwise, always; C2, C5, C6 and C7 as settings name them.
pub(super) fn write(case: &Case<'_>, channels: &mut Vec<Channel>) {
    let (service, ui) = kept(case);
    let from = channels.len();
    channels.extend(archived(case));
    channels.push(blank(case, "C3", service));
    channels.push(blank(case, "C4", ui));
    channels.extend(case.places.iter().map(|place| beside(case, place)));
    channels[from..].sort_by(Dataset::key_order);
}

/// A place beside `LogUri`.
fn beside(case: &Case<'_>, place: &Place) -> Channel {
    let key = place.key.and_then(|position| case.keys.get(position));
    let counts = matches!(place.channel, "C2" | "C6");
    let (effective, basis) = match case.unread() {
        None => (place.effective, place.basis),
        Some(unread) => (Encryption::Unknown, unread.reason()),
    };
    let words = match place.channel {
        "C7" => format!("{basis}_as_launched").into(),
        _ => Text::from(basis),
    };
    Channel {
        destination: Text::from(&place.destination),
        destination_bucket: place.bucket.as_ref().map(Text::from),
        requested_key: place.requested.as_ref().map(Text::from),
        key_reference: key.and_then(reference),
        key_arn: key.and_then(arn),
        sources: counts.then_some(place.from.len() as i64),
        basis: words,
        ..blank(case, place.channel, (effective, basis))
    }
}

fn archived(case: &Case<'_>) -> Option<Channel> {
    let destination = match &case.place {
        LogPlace::Nowhere => return None,
        // Not understood, so it cannot be rebuilt; credentials were dropped when it was collected.
        LogPlace::Unparseable => case.cluster.log_uri.as_ref().map_or("".into(), Text::from),
        LogPlace::S3(location) => location.to_string().into(),
    };
    let key = case.log_key();
    Some(Channel {
        destination,
        destination_bucket: match &case.place {
            LogPlace::S3(location) => Some(Text::from(&location.bucket)),
            _ => None,
        },
        requested_key: case.cluster.log_key.as_ref().map(Text::from),
        key_reference: key.and_then(reference),
        key_arn: key.and_then(arn),
        ..blank(case, "C1", effective(case))
    })
}

fn reference(key: &KeyUse) -> Option<Text> {
    Some(key.named()?.to_string().into())
}

/// The key that was described.
fn arn(key: &KeyUse) -> Option<Text> {
    key.described()?.key_arn.as_ref().map(Text::from)
}

/// A channel without a destination of the customer's and without a key.
fn blank(
    case: &Case<'_>,
    channel: &'static str,
    (effective_encryption, basis): (Encryption, &'static str),
) -> Channel {
    Channel {
        scheduled_for: case.ctx.scheduled_for,
        account_id: case.cluster.account_id.clone(),
        region: case.cluster.region.clone(),
        cluster_id: case.names.cluster_id.clone(),
        channel: channel.into(),
        destination: Text::default(),
        destination_bucket: None,
        requested_key: None,
        key_reference: None,
        key_arn: None,
        effective_encryption,
        sources: None,
        basis: basis.into(),
    }
}

/// The encryption of service-retained logs and of persistent UI logs. AWS documents none of it as the
/// customer's to choose, whatever the log key: it is never said to be a customer key.
fn kept(case: &Case<'_>) -> ((Encryption, &'static str), (Encryption, &'static str)) {
    let unknown = |basis| (Encryption::Unknown, basis);
    if let Some(unread) = case.unread() {
        let both = unknown(unread.reason());
        return (both, both);
    }
    let policies = match Retained::of(case) {
        Retained::ReleaseUnparseable => {
            let both = unknown("release_unparseable");
            return (both, both);
        }
        Retained::NoSwitch => {
            let both = unknown("release_has_no_switch");
            return (both, both);
        }
        Retained::Switched(policies) => policies,
    };
    let of = |uploads: &[Upload]| {
        if uploads.contains(&Upload::EmrManaged) {
            unknown("emr_managed_not_customer_controlled")
        } else if uploads.contains(&Upload::Undocumented) {
            unknown("upload_policy_not_known")
        } else if uploads.contains(&Upload::CustomerOnly) {
            (Encryption::Nothing, "on_customer_s3only")
        } else {
            (Encryption::Nothing, "disabled")
        }
    };
    (
        of(&[policies.system, policies.application]),
        of(&[policies.ui]),
    )
}

/// The encryption of what C1 writes, and the fact that says so.
fn effective(case: &Case<'_>) -> (Encryption, &'static str) {
    if let Some(unread) = case.unread() {
        return (Encryption::Unknown, unread.reason());
    }
    match case.uploads_disabled() {
        None => {}
        Some(StillUploaded::Nothing) => {
            return (Encryption::Nothing, "uploads_disabled_no_steps");
        }
        Some(StillUploaded::Steps) => {
            return (Encryption::Unknown, "uploads_disabled_with_steps");
        }
        Some(StillUploaded::NotRead) => {
            return (Encryption::Unknown, "uploads_disabled_steps_not_read");
        }
    }
    if case.place == LogPlace::Unparseable {
        return (Encryption::Unknown, "log_uri_unparseable");
    }
    let Some(standing) = case.log_key().map(KeyUse::standing) else {
        // AWS documents SSE-S3 for logs without a key. Whether the writer asks for it or leaves it to
        // the bucket is not documented, so only a bucket that does the same leaves no doubt.
        return match case.bucket_default() {
            Some("AES256") => (Encryption::SseS3, "no_log_key"),
            _ => (Encryption::Unknown, "no_log_key_bucket_default_not_proof"),
        };
    };
    match case.cluster.release_label.as_deref().map(Release::parse) {
        Some(Some(release)) if release.honours_log_key() => match standing {
            Standing::Customer => (Encryption::CustomerKey, "log_key_customer"),
            Standing::AwsManaged => (Encryption::AwsManagedKey, "log_key_aws_managed"),
            Standing::NotFound => (Encryption::Unknown, "key_not_found"),
            Standing::NotDescribed => (Encryption::Unknown, "key_not_described"),
            Standing::Unparseable => (Encryption::Unknown, "key_reference_unparseable"),
        },
        Some(Some(_)) => (Encryption::Unknown, "release_does_not_honour_key"),
        _ => (Encryption::Unknown, "release_unparseable"),
    }
}
