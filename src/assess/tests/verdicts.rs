use crate::assess::fixtures::*;
use crate::model::words::{
    Delivery, Encryption, Judgement, Lookup, Outcome, Posture, Seen, Settings, VerdictBasis,
};

type Spoil = fn(&mut World);

#[test]
fn verdict_delivery_and_posture() {
    use Delivery as D;
    use Judgement as J;
    use Posture as P;
    #[rustfmt::skip]
    let table: &[(J, D, P, &str, Spoil)] = &[
        (J::Compliant, D::Working, P::Active, "EL-01 EL-02 EL-03 EL-04", |_| {}),
        (J::Compliant, D::Unknown, P::Active, "EL-01 EL-02 EL-04",
            |w| w.key().origin = some("AWS_CLOUDHSM")),
        (J::NonCompliant, D::NotApplicable, P::PassiveDefault, "EL-01",
            |w| w.cluster.log_key = None),
        (J::NonCompliant, D::Working, P::PassiveAwsKey, "EL-02",
            |w| w.key().manager = some("AWS")),
        (J::NonCompliant, D::NotApplicable, P::PassiveAwsKey, "EL-02",
            |w| w.cluster.log_key = some("alias/aws/s3")),
        (J::NonCompliant, D::Broken, P::Active, "EL-03",
            |w| w.key().state = some("Disabled")),
        (J::NonCompliant, D::Broken, P::Unknown, "EL-03",
            |w| w.lose_key(Lookup::NotFound)),
        (J::NonCompliant, D::Working, P::Active, "EL-02",
            |w| w.move_key_to(FOREIGN)),
        (J::NonCompliant, D::Unknown, P::Unknown, "EL-02",
            |w| { w.move_key_to(FOREIGN); w.lose_key(Lookup::Denied); }),
        // A failure outweighs what is not known.
        (J::NonCompliant, D::Broken, P::Unknown, "EL-03",
            |w| { w.key().state = some("Disabled"); w.cluster.release_label = None; }),
        (J::Unknown, D::Unknown, P::Unknown, "EL-02",
            |w| w.lose_key(Lookup::Denied)),
        (J::Unknown, D::Unknown, P::Unknown, "EL-02",
            |w| w.cluster.log_key = some("?")),
        (J::Unknown, D::Working, P::Unknown, "EL-01",
            |w| w.cluster.release_label = some("emr-6.0.0")),
        (J::Unknown, D::Unknown, P::Unknown, "EL-01",
            |w| w.cluster.log_uri = some("hdfs:///logs")),
        (J::Unknown, D::Working, P::Unknown, "EL-01", |w| {
            w.cluster.system_logs_upload = some("disabled");
            w.cluster.application_logs_upload = some("disabled");
        }),
        (J::NoLogs, D::NotApplicable, P::NotArchived, "EL-17",
            |w| w.cluster.log_uri = None),
        (J::NoLogs, D::NotApplicable, P::NotArchived, "EL-17",
            |w| { w.cluster.log_uri = some(""); w.cluster.log_key = None; }),
    ];
    for (index, (verdict, delivery, posture, decided_by, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        let v = w.assess().verdict;
        assert_eq!(
            (v.verdict, v.delivery, v.posture, v.decided_by.as_str()),
            (*verdict, *delivery, *posture, *decided_by),
            "row {index}"
        );
        assert_eq!(v.basis, VerdictBasis::Assessed);
    }
}

#[test]
fn what_was_not_read_is_unknown_throughout() {
    let table: [(&str, VerdictBasis, Spoil); 3] = [
        ("settings_not_read", VerdictBasis::Deferred, |w| {
            w.cluster.settings = Settings::Deferred;
            w.cluster.log_uri = None;
            w.cluster.log_key = None;
        }),
        ("cluster_not_seen", VerdictBasis::Carried, |w| {
            w.cluster.seen = Seen::NotSeen;
            w.cluster.settings = Settings::Carried;
        }),
        ("cluster_not_seen", VerdictBasis::Carried, |w| {
            w.cluster.seen = Seen::NotSeen;
            w.cluster.settings = Settings::Deferred;
        }),
    ];
    for (reason, basis, spoil) in table {
        let mut w = World::compliant();
        spoil(&mut w);
        let all = w.assess();
        for f in &all.findings {
            assert_eq!(
                (f.outcome, f.reason.as_str()),
                (Outcome::Unknown, reason),
                "{}",
                f.rule
            );
            assert_eq!(f.subject, CLUSTER);
        }
        let v = all.verdict;
        assert_eq!((v.verdict, v.basis), (Judgement::Unknown, basis));
        assert_eq!(
            (v.delivery, v.posture),
            (Delivery::Unknown, Posture::Unknown)
        );
        for c in &all.channels {
            assert_eq!(
                (c.effective_encryption, c.basis.as_str()),
                (Encryption::Unknown, reason)
            );
        }
    }
    let mut w = World::compliant();
    w.cluster.settings = Settings::Carried;
    assert_eq!(
        w.assess().verdict.verdict,
        Judgement::Compliant,
        "carried settings count"
    );
}

#[test]
fn the_channel_says_what_is_proven_and_why() {
    use Encryption as E;
    #[rustfmt::skip]
    let table: &[(E, &str, Spoil)] = &[
        (E::CustomerKey, "log_key_customer", |_| {}),
        (E::AwsManagedKey, "log_key_aws_managed", |w| w.cluster.log_key = some("alias/aws/s3")),
        (E::AwsManagedKey, "log_key_aws_managed", |w| w.key().manager = some("AWS")),
        (E::SseS3, "no_log_key", |w| w.cluster.log_key = None),
        (E::Unknown, "no_log_key_bucket_default_not_proof",
            |w| { w.cluster.log_key = None; w.buckets.clear(); }),
        (E::Unknown, "no_log_key_bucket_default_not_proof",
            |w| { w.cluster.log_key = None; w.bucket().default_algorithm = some("aws:kms"); }),
        (E::Unknown, "key_not_described", |w| w.lose_key(Lookup::Denied)),
        (E::Unknown, "key_not_found", |w| w.lose_key(Lookup::NotFound)),
        (E::Unknown, "key_reference_unparseable", |w| w.cluster.log_key = some("?")),
        (E::Unknown, "release_does_not_honour_key",
            |w| w.cluster.release_label = some("emr-5.29.0")),
        (E::Unknown, "release_unparseable", |w| w.cluster.release_label = None),
        (E::Unknown, "log_uri_unparseable", |w| w.cluster.log_uri = some("ftp://x")),
        (E::Unknown, "uploads_disabled_with_steps", |w| {
            w.cluster.system_logs_upload = some("disabled");
            w.cluster.application_logs_upload = some("disabled");
        }),
        (E::Nothing, "uploads_disabled_no_steps", |w| {
            w.cluster.system_logs_upload = some("disabled");
            w.cluster.application_logs_upload = some("disabled");
            w.cluster.steps = Some(0);
        }),
    ];
    for (encryption, basis, spoil) in table {
        let mut w = World::compliant();
        spoil(&mut w);
        let c = w.assess().channels.remove(0);
        assert_eq!(
            (c.effective_encryption, c.basis.as_str()),
            (*encryption, *basis)
        );
    }
    let mut w = World::compliant();
    w.cluster.log_uri = None;
    let left: Vec<_> = w.assess().channels.into_iter().map(|c| c.channel).collect();
    assert_eq!(left, ["C3", "C4"], "no place, no channel of the customer's");
    w.cluster.log_uri = some("s3n://AKIAEXAMPLE:secret@team-logs/emr/");
    let c = w.assess().channels.remove(0);
    assert_eq!(c.destination, "s3n://team-logs/emr/");
    assert_eq!(c.destination_bucket.as_deref(), Some("team-logs"));
}

#[test]
fn what_aws_keeps_is_never_said_to_be_under_a_customer_key() {
    use Encryption::{Nothing, Unknown};
    type Row = (Encryption, &'static str);
    const KEPT: Row = (Unknown, "emr_managed_not_customer_controlled");
    const OFF: Row = (Nothing, "disabled");
    const ODD: Row = (Unknown, "upload_policy_not_known");
    let table: &[(Row, Row, Spoil)] = &[
        (KEPT, KEPT, |_| {}),
        (KEPT, KEPT, |w| {
            w.cluster.ui_logs_upload = some("emr-managed");
            w.cluster.system_logs_upload = some("disabled");
        }),
        (OFF, KEPT, |w| {
            w.cluster.system_logs_upload = some("disabled");
            w.cluster.application_logs_upload = some("disabled");
        }),
        ((Nothing, "on_customer_s3only"), OFF, |w| {
            w.cluster.system_logs_upload = some("on-customer-s3only");
            w.cluster.application_logs_upload = some("disabled");
            w.cluster.ui_logs_upload = some("disabled");
        }),
        (ODD, ODD, |w| {
            w.cluster.system_logs_upload = some("disabled");
            w.cluster.application_logs_upload = some("new-word");
            w.cluster.ui_logs_upload = some("on-customer-s3only");
        }),
        (
            (Unknown, "release_has_no_switch"),
            (Unknown, "release_has_no_switch"),
            |w| {
                w.cluster.release_label = some("emr-7.12.0");
                w.cluster.ui_logs_upload = some("disabled");
            },
        ),
        (
            (Unknown, "release_unparseable"),
            (Unknown, "release_unparseable"),
            |w| w.cluster.release_label = None,
        ),
    ];
    for (index, (service, ui, spoil)) in table.iter().enumerate() {
        let mut w = World::compliant();
        spoil(&mut w);
        let channels = w.assess().channels;
        let said = |name: &str| {
            let row = channels.iter().find(|c| c.channel == name).expect(name);
            assert_eq!((&row.requested_key, &row.key_arn), (&None, &None));
            assert_eq!(
                (row.destination.as_str(), &row.destination_bucket),
                ("", &None)
            );
            (row.effective_encryption, row.basis.to_string())
        };
        assert_eq!(said("C3"), (service.0, service.1.to_owned()), "row {index}");
        assert_eq!(said("C4"), (ui.0, ui.1.to_owned()), "row {index}");
    }
}

#[test]
fn advice_never_decides_a_verdict() {
    let mut w = World::compliant();
    let before = w.assess().verdict;
    w.key().rotation_enabled = Some(false);
    w.config.key_tags.owner = true;
    let all = w.assess();
    let failed: Vec<_> = all
        .findings
        .iter()
        .filter(|f| f.outcome == Outcome::Fail)
        .map(|f| f.rule.as_str())
        .collect();
    assert_eq!(
        failed,
        ["EL-07", "EL-08", "EL-12", "EL-13", "EL-15", "EL-18"]
    );
    assert_eq!(all.verdict, before);
    assert_eq!(all.verdict.verdict, Judgement::Compliant);
}
