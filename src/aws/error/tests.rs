use super::*;
use ErrorClass::*;

#[test]
fn codes_have_their_class() {
    use Operation as O;
    for (operation, code, message, status, class) in [
        (
            O::ListClusters,
            "ThrottlingException",
            "Rate exceeded",
            400,
            Throttled,
        ),
        (O::ListClusters, "Throttling", "", 400, Throttled),
        (
            O::ListAccounts,
            "TooManyRequestsException",
            "",
            400,
            Throttled,
        ),
        (O::ListBuckets, "SlowDown", "", 503, Throttled),
        (O::ListBuckets, "RequestLimitExceeded", "", 400, Throttled),
        (O::ListClusters, "SomethingNew", "", 429, Throttled),
        (
            O::AssumeRole,
            "AccessDenied",
            "not authorized to perform: sts:AssumeRole",
            403,
            DeniedTrust,
        ),
        (
            O::AssumeRole,
            "AccessDenied",
            "with an explicit deny in a service control policy",
            403,
            DeniedScp,
        ),
        (O::GetCallerIdentity, "AccessDenied", "", 403, DeniedIam),
        (
            O::ListClusters,
            "AccessDeniedException",
            "because no identity-based policy allows",
            400,
            DeniedIam,
        ),
        (
            O::ListClusters,
            "AccessDeniedException",
            "with an explicit deny in a Service Control Policy: arn",
            400,
            DeniedScp,
        ),
        (
            O::ListClusters,
            "AccessDeniedException",
            "with an explicit deny in a resource control policy",
            400,
            DeniedScp,
        ),
        (O::ListClusters, "ExpiredTokenException", "", 400, Expired),
        (O::ListBuckets, "ExpiredToken", "", 400, Expired),
        (
            O::ListClusters,
            "UnrecognizedClientException",
            "",
            400,
            TokenRefused,
        ),
        (
            O::GetCallerIdentity,
            "InvalidClientTokenId",
            "",
            403,
            TokenRefused,
        ),
        (
            O::AssumeRole,
            "RegionDisabledException",
            "",
            403,
            TokenRefused,
        ),
        (O::ListRegions, "AuthFailure", "", 401, TokenRefused),
        (O::GetBucketEncryption, "NoSuchBucket", "", 404, NotFound),
        (O::DescribeKey, "NotFoundException", "", 400, NotFound),
        (
            O::ListTagsForResource,
            "TargetNotFoundException",
            "",
            400,
            NotFound,
        ),
        (
            O::GetBucketEncryption,
            "ServerSideEncryptionConfigurationNotFoundError",
            "",
            404,
            NotFound,
        ),
        (
            O::DescribeCluster,
            "InvalidRequestException",
            "Cluster id is not valid",
            400,
            Refused,
        ),
        (
            O::GetKeyRotationStatus,
            "UnsupportedOperationException",
            "",
            400,
            Refused,
        ),
        (
            O::GetKeyRotationStatus,
            "KMSInvalidStateException",
            "",
            400,
            Refused,
        ),
        (O::DescribeKey, "InvalidArnException", "", 400, Refused),
        (O::ListRegions, "ValidationException", "", 400, Refused),
        (
            O::DescribeOrganization,
            "AWSOrganizationsNotInUseException",
            "",
            400,
            Refused,
        ),
        (
            O::GetBucketVersioning,
            "PermanentRedirect",
            "",
            301,
            Refused,
        ),
        (O::ListClusters, "InternalServerException", "", 400, Server),
        (O::ListClusters, "InternalServerError", "", 500, Server),
        (O::ListBuckets, "InternalError", "", 500, Server),
        (O::ListBuckets, "ServiceUnavailable", "", 503, Server),
        (
            O::DescribeKey,
            "DependencyTimeoutException",
            "",
            400,
            Server,
        ),
        (O::DescribeKey, "KMSInternalException", "", 400, Server),
        (O::DescribeKey, "Unheard", "", 502, Server),
        (O::GetBucketVersioning, "", "", 403, DeniedIam),
        (O::GetBucketVersioning, "", "", 404, Transport),
    ] {
        assert_eq!(
            classify(operation, code, message, Some(status)),
            class,
            "{operation:?} {code} {message} {status}"
        );
    }
}

#[test]
fn a_refusal_is_the_things_own_only_when_aws_says_so() {
    let who = "User: arn:aws:sts::111122223333:assumed-role/reader/keyproof is not authorized to \
               perform: kms:DescribeKey on resource: \
               arn:aws:kms:eu-west-1:111122223333:key/resource-based-policy";
    for (reason, class) in [
        (
            "because no resource-based policy allows the kms:DescribeKey action",
            DeniedByResource,
        ),
        (
            "with an explicit deny in a resource-based policy",
            DeniedByResource,
        ),
        (
            "because the resource does not exist in this Region, no resource-based policies \
             allow access, or a resource-based policy explicitly denies access",
            DeniedByResource,
        ),
        (
            "because no identity-based policy allows the kms:DescribeKey action",
            DeniedIam,
        ),
        (
            "with an explicit deny in an identity-based policy: \
             arn:aws:iam::111122223333:policy/resource-based",
            DeniedIam,
        ),
        (
            "because no permissions boundary allows the kms:DescribeKey action",
            DeniedIam,
        ),
        ("with an explicit deny in a permissions boundary", DeniedIam),
        (
            "because no session policy allows the kms:DescribeKey action",
            DeniedIam,
        ),
        ("with an explicit deny in a session policy", DeniedIam),
        (
            "because no VPC endpoint policy allows the kms:DescribeKey action",
            DeniedIam,
        ),
        ("with an explicit deny in a VPC endpoint policy", DeniedIam),
        (
            "because no service control policy allows the kms:DescribeKey action",
            DeniedScp,
        ),
        (
            "with an explicit deny in a service control policy: \
             arn:aws:organizations::999988887777:policy/o-example/service_control_policy/p-1",
            DeniedScp,
        ),
        (
            "with an explicit deny in a resource control policy",
            DeniedScp,
        ),
        ("", DeniedIam),
    ] {
        let message = format!("{who} {reason}");
        let found = classify(
            Operation::DescribeKey,
            "AccessDeniedException",
            &message,
            Some(400),
        );
        assert_eq!(found, class, "{reason}");
    }
    for message in ["Access Denied", ""] {
        let found = classify(
            Operation::GetBucketEncryption,
            "AccessDenied",
            message,
            Some(403),
        );
        assert_eq!(found, DeniedIam, "{message:?}");
    }
    let trust = "because no resource-based policy allows the sts:AssumeRole action";
    assert_eq!(
        classify(Operation::AssumeRole, "AccessDenied", trust, Some(403)),
        DeniedTrust
    );
}

#[test]
fn secrets_and_control_characters_do_not_get_through() {
    let text = shorten(
        "key AKIAIOSFODNN7EXAMPLE secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY in \
         s3n://ASIAIOSFODNN7EXAMPLE:x@bucket\u{1b}[31m arn:aws:iam::111122223333:role/path/reader",
    );
    assert!(!text.contains("AKIA") && !text.contains("ASIA"), "{text}");
    assert!(
        !text.contains("wJalr") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert!(
        text.contains("arn:aws:iam::111122223333:role/path/reader"),
        "{text}"
    );
}

#[test]
fn messages_are_short_whatever_they_hold() {
    assert_eq!(
        shorten(&"ü ".repeat(5_000)).chars().count(),
        MESSAGE_LENGTH + 1
    );
    assert_eq!(shorten(&"aA".repeat(500_000)), "****");
    assert_eq!(
        shorten(&"a".repeat(1_000_000)).chars().count(),
        MESSAGE_LENGTH + 1
    );
    assert_eq!(shorten(""), "");
}
