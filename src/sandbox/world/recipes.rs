//! From a scenario to what its clusters are launched with.

use super::beside;
use super::buckets::BucketKind;
use super::builder::Builder;
use super::clusters::Recipe;
use super::copies::Copies;
use super::identities;
use super::keys::Purpose;
use super::lifetimes::Lifetime;
use super::rng::Rng;
use super::scenario::Scenario;
use super::secrets::marker;
use super::security_configurations;

/// Ordinary releases, with what they make of AWS's copies without an upload policy.
const RELEASES: [(&str, Copies); 5] = [
    ("emr-5.36.2", Copies::NoSwitch),
    ("emr-6.15.0", Copies::NoSwitch),
    ("emr-7.1.0", Copies::NoSwitch),
    ("emr-7.9.0", Copies::NoSwitch),
    ("emr-7.13.0", Copies::Kept),
];

/// The parts of a launch that decide its scenario.
struct LogSettings {
    release_label: Option<&'static str>,
    /// Scheme, userinfo and bucket of the log URI; `None` when the field is absent.
    log_uri: Option<String>,
    log_key: Option<String>,
    upload_policy: Vec<(&'static str, &'static str)>,
    copies: Copies,
    outage_ms: Option<(i64, i64)>,
}

/// A recipe for one slot of an account-region; creates the keys and buckets that it refers to.
pub(super) fn recipe(
    builder: &mut Builder<'_>,
    account: &str,
    region: &'static str,
    slot: usize,
    name: String,
    lifetime: Lifetime,
    scenario: Scenario,
) -> Recipe {
    let label = format!("recipe/{account}/{region}/{slot}");
    let mut rng = Rng::stream(builder.options.seed, &label);
    let settings = log_settings(builder, account, region, &mut rng, scenario);
    let kerberos = rng.below(4) == 0;
    let secrets = Recipe::SECRETS
        + if kerberos {
            Recipe::KERBEROS_SECRETS
        } else {
            0
        };
    let owned = rng.below(3) != 0;
    let beside = beside::of(builder, account, region, scenario, lifetime.is_job());
    // One marker for steps and one for sessions, where there are any.
    let activity = u32::from(beside.steps > 0) + u32::from(beside.session.is_some());
    Recipe {
        scenario,
        name,
        is_job: lifetime.is_job(),
        release_label: settings.release_label,
        log_uri: settings.log_uri,
        log_key: settings.log_key,
        security_configuration: {
            let any = (rng.below(2) == 0).then(|| *rng.pick(&security_configurations::NAMES));
            scenario.configuration().unwrap_or(any)
        },
        instance_profile: match scenario {
            Scenario::WriterInKeyPolicy
            | Scenario::WriterByGrant
            | Scenario::WriterOnCondition
            | Scenario::WriterWithoutPermission
            | Scenario::DeletedRoleInPolicy => identities::PLAIN,
            Scenario::WriterDenied => identities::DENIED,
            Scenario::WriterBeyondBoundary => identities::BOUNDED,
            _ => identities::NODE,
        },
        upload_policy: settings.upload_policy,
        copies: settings.copies,
        beside,
        tags: if owned {
            vec![
                (
                    "owner",
                    format!("team-{}", rng.pick(&["ana", "bo", "chris", "dee"])),
                ),
                ("cost-center", format!("cc-{}", 2_000 + rng.below(50))),
                (
                    "data-classification",
                    (*rng.pick(&["internal", "confidential"])).to_owned(),
                ),
            ]
        } else {
            Vec::new()
        },
        kerberos,
        outage_ms: settings.outage_ms,
        secret: builder.planter.reserve(secrets),
        activity_secret: builder.planter.reserve(activity),
    }
}

fn log_settings(
    builder: &mut Builder<'_>,
    account: &str,
    region: &'static str,
    rng: &mut Rng,
    scenario: Scenario,
) -> LogSettings {
    let uri = |scheme: &str, bucket: &str| Some(format!("{scheme}://{bucket}/emr/"));
    let bucket = builder.bucket(account, region, BucketKind::ConsoleLogs);
    let (release, copies) = *rng.pick(&RELEASES);
    let mut settings = LogSettings {
        release_label: Some(release),
        log_uri: uri("s3", &bucket),
        log_key: None,
        upload_policy: Vec::new(),
        copies,
        outage_ms: None,
    };
    let purpose = match scenario {
        Scenario::KeyAliasName | Scenario::KeyAliasArn => Purpose::AliasedLogs,
        Scenario::MultiRegionKey => Purpose::MultiRegionLogs,
        Scenario::ImportedMaterial => Purpose::Imported,
        Scenario::ImportedMaterialExpired => Purpose::ImportedExpired,
        Scenario::KeyNotDescribed => Purpose::AdministratorsOnly,
        Scenario::KeyDisabled => Purpose::Disabled,
        Scenario::KeyDisabledThenMended => Purpose::DisabledThenMended,
        Scenario::KeyPendingDeletion => Purpose::PendingDeletion,
        Scenario::KeyPendingReplicaDeletion => Purpose::PendingReplicaDeletion,
        Scenario::KeyPendingImport => Purpose::PendingImport,
        Scenario::KeyUnavailable => Purpose::Unavailable,
        Scenario::CustomKeyStore => Purpose::CustomKeyStore,
        Scenario::KeyRsa => Purpose::Rsa,
        Scenario::KeyHmac => Purpose::Hmac,
        Scenario::AwsManagedKeyArn => Purpose::AwsManagedS3,
        Scenario::WriterInKeyPolicy => Purpose::WriterNamed,
        Scenario::WriterByGrant => Purpose::WriterGranted,
        Scenario::WriterOnCondition => Purpose::OnCondition,
        Scenario::DeletedRoleInPolicy => Purpose::DeletedRole,
        Scenario::KeyPolicyNotRead => Purpose::PolicyHidden,
        Scenario::OverbroadKeyPolicy => Purpose::Overbroad,
        Scenario::OtherUnitReads => Purpose::OtherUnit,
        Scenario::KillSwitchOpen => Purpose::KillSwitch,
        _ => Purpose::Logs,
    };
    let foreign = builder.foreign_account.clone();
    let archive = builder.log_archive_account.clone();
    // The key that the scenario names, unless an arm below says otherwise.
    let key = match scenario {
        Scenario::NoLogKey
        | Scenario::NoLogUri
        | Scenario::StepWithoutKey
        | Scenario::StepWithAwsKey
        | Scenario::SessionsWithKey
        | Scenario::EmptyLogUri
        | Scenario::NoLogKeyOnOldRelease
        | Scenario::BucketDefaultCustomerKey
        | Scenario::BucketDefaultAwsKey
        | Scenario::BlankLogKey
        | Scenario::AwsManagedKeyAlias
        | Scenario::AwsManagedKeyAliasArn
        | Scenario::KeyNotFound => None,
        Scenario::ForeignKeyDescribed => Some(builder.key(&foreign, region, Purpose::ForeignOpen)),
        Scenario::ForeignKeyDenied => Some(builder.key(&foreign, region, Purpose::ForeignClosed)),
        Scenario::CentralKeyAndBucket => Some(builder.key(&archive, region, Purpose::Central)),
        Scenario::KeyInOtherRegion => {
            let other = builder.other_region(account, region);
            Some(builder.key(account, other, Purpose::Logs))
        }
        _ => Some(builder.key(account, region, purpose)),
    };
    settings.log_key = key.as_ref().map(super::keys::Key::arn);
    settings.outage_ms = key.as_ref().and_then(|key| key.outage_ms);

    match scenario {
        Scenario::KeyBareId => settings.log_key = key.map(|key| key.id),
        Scenario::KeyAliasName => settings.log_key = Some("alias/emr-logs".to_owned()),
        Scenario::KeyAliasArn => {
            settings.log_key = Some(format!("arn:aws:kms:{region}:{account}:alias/emr-logs"));
        }
        Scenario::AwsManagedKeyAlias => settings.log_key = Some("alias/aws/s3".to_owned()),
        Scenario::AwsManagedKeyAliasArn => {
            settings.log_key = Some(format!("arn:aws:kms:{region}:{account}:alias/aws/s3"));
        }
        Scenario::KeyNotFound => {
            let gone = rng.uuid();
            settings.log_key = Some(format!("arn:aws:kms:{region}:{account}:key/{gone}"));
        }
        Scenario::BlankLogKey => settings.log_key = Some("  ".to_owned()),

        Scenario::NoLogUri
        | Scenario::KeyWithoutLogUri
        | Scenario::StepWithoutKey
        | Scenario::StepWithAwsKey
        | Scenario::SessionsWithKey => settings.log_uri = None,
        Scenario::EmptyLogUri => settings.log_uri = Some(String::new()),
        Scenario::LegacyUriScheme => settings.log_uri = uri("s3n", &bucket),
        Scenario::HadoopUriScheme => settings.log_uri = uri("s3a", &bucket),
        Scenario::CredentialsInUri => {
            let secret = marker(builder.planter.reserve(1));
            settings.log_uri = Some(format!("s3n://AKIAIOSFODNN7EXAMPLE:{secret}@{bucket}/emr/"));
        }
        Scenario::KeyArn => {
            settings.log_uri = uri("s3", &builder.bucket(account, region, BucketKind::TeamLogs));
        }
        Scenario::BucketDefaultCustomerKey => {
            settings.log_uri = uri("s3", &builder.bucket(account, region, BucketKind::TeamLogs));
        }
        Scenario::BucketDefaultAwsKey => {
            settings.log_uri = uri(
                "s3",
                &builder.bucket(account, region, BucketKind::LegacyLogs),
            );
        }
        Scenario::CentralKeyAndBucket => {
            settings.log_uri = uri(
                "s3",
                &builder.bucket(&archive, region, BucketKind::CentralLogs),
            );
        }
        Scenario::BucketOutsideOrganization => {
            settings.log_uri = uri("s3", &builder.bucket(&foreign, region, BucketKind::Partner));
        }
        Scenario::BucketInOtherRegion => {
            let other = builder.other_region(account, region);
            settings.log_uri = uri(
                "s3",
                &builder.bucket(account, other, BucketKind::ConsoleLogs),
            );
        }

        _ => {}
    }
    let release = match scenario {
        Scenario::KeyOnOldRelease => Some((Some("emr-5.9.0"), Copies::NoSwitch)),
        Scenario::NoLogKeyOnOldRelease => Some((Some("emr-5.20.1"), Copies::NoSwitch)),
        Scenario::KeyOnRelease600 => Some((Some("emr-6.0.0"), Copies::NoSwitch)),
        Scenario::OldestHonouringRelease => Some((Some("emr-5.30.0"), Copies::NoSwitch)),
        Scenario::KeyOnUnparseableRelease => {
            Some((Some("spark-8.0.0-preview"), Copies::CannotTell))
        }
        Scenario::KeyOnAmiVersion => Some((None, Copies::CannotTell)),
        Scenario::SessionsWithKey => Some((Some("emr-spark-8.0.0"), Copies::CannotTell)),
        Scenario::CloudWatchWithKey => Some((Some("emr-7.11.0"), Copies::NoSwitch)),
        Scenario::CloudWatchWithoutKey => Some((Some("emr-7.13.0"), Copies::Kept)),
        Scenario::CloudWatchGroupMissing => Some((Some("emr-7.12.0"), Copies::NoSwitch)),
        _ => None,
    };
    if let Some((label, copies)) = release {
        (settings.release_label, settings.copies) = (label, copies);
    }
    type Policy = &'static [(&'static str, &'static str)];
    let policy: Option<(Policy, Copies)> = match scenario {
        // Nobody asked for persistent UI logs to go.
        Scenario::UploadsDisabled | Scenario::UploadsDisabledNoSteps => Some((
            &[
                ("system-logs", "disabled"),
                ("application-logs", "disabled"),
            ],
            Copies::Kept,
        )),
        Scenario::OneLogTypeDisabled => Some((
            &[
                ("system-logs", "disabled"),
                ("persistent-ui-logs", "disabled"),
            ],
            Copies::Kept,
        )),
        Scenario::CustomerBucketOnly => Some((
            &[
                ("system-logs", "on-customer-s3only"),
                ("application-logs", "on-customer-s3only"),
                ("persistent-ui-logs", "disabled"),
            ],
            Copies::Off,
        )),
        _ => None,
    };
    if let Some((policy, copies)) = policy {
        settings.release_label = Some("emr-7.13.0");
        settings.upload_policy = policy.to_vec();
        settings.copies = copies;
    }
    settings
}
