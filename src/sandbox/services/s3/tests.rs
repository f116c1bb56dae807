//! The archive's promises, request by request: create-only, versions, locks, listings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{S3State, access, dispatch, operation_name};
use crate::sandbox::wire::encoding::parse_pairs;
use crate::sandbox::wire::{AwsError, Caller, Request, Response, iso_millis};
use crate::sandbox::world::bucket_settings::BucketSettings;
use crate::sandbox::world::buckets::BucketKind;
use crate::sandbox::world::{Bucket, BucketEncryption};

const NOW_MS: i64 = 1_700_000_000_000;
const DAY_MS: i64 = 86_400_000;
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555";

fn bucket() -> Bucket {
    Bucket {
        name: "evidence".into(),
        kind: BucketKind::Archive,
        account_id: "111122223333".into(),
        region: "eu-west-1".into(),
        created_ms: 0,
        default_encryption: Some(BucketEncryption {
            algorithm: "aws:kms".into(),
            key: Some(KEY.into()),
            bucket_key: true,
        }),
        versioning: true,
        object_lock: true,
        default_retention: None,
        public_access_block: true,
        policy: None,
        ownership: "BucketOwnerEnforced".into(),
        settings: BucketSettings::default(),
    }
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = parse_pairs(query).unwrap();
    let headers: Vec<_> = headers
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let path = format!("/evidence/{path}");
    Request {
        caller: Caller {
            account: "111122223333".into(),
            role: None,
            session: None,
            expires_ms: None,
        },
        region: "eu-west-1".into(),
        service: "s3".into(),
        operation: operation_name(method, &path, &query, &headers),
        method: method.into(),
        path,
        query,
        headers,
        body: body.to_vec(),
        request_id: "id".into(),
    }
}

fn send(state: &S3State, request: &Request) -> Result<Response, AwsError> {
    let key = request.path.strip_prefix("/evidence/").unwrap();
    dispatch(&bucket(), key, state, NOW_MS, request)
}

fn code(result: Result<Response, AwsError>) -> String {
    result.err().map(|error| error.code).unwrap_or_default()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response
        .headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn create(
    state: &S3State,
    key: &str,
    body: &[u8],
    more: &[(&str, &str)],
) -> Result<Response, AwsError> {
    let sum = STANDARD.encode(Sha256::digest(body));
    let mut headers = vec![
        ("if-none-match", "*"),
        ("x-amz-checksum-sha256", sum.as_str()),
    ];
    headers.extend(more);
    send(state, &request("PUT", key, &headers, body))
}

#[test]
fn a_key_is_created_once_and_again_only_over_a_marker() {
    let state = S3State::default();
    let first = create(&state, "k", b"one", &[]).unwrap();
    assert_eq!(
        header(&first, "x-amz-server-side-encryption-aws-kms-key-id"),
        Some(KEY)
    );
    assert!(header(&first, "x-amz-checksum-sha256").is_some());
    assert_eq!(code(create(&state, "k", b"two", &[])), "PreconditionFailed");
    send(&state, &request("DELETE", "k", &[], b"")).unwrap();
    assert_eq!(
        send(&state, &request("GET", "k", &[], b"")).unwrap().status,
        404
    );
    create(&state, "k", b"three", &[]).unwrap();
    assert_eq!(state.object("evidence", "k").unwrap(), b"three");
}

#[test]
fn a_locked_version_stays() {
    let state = S3State::default();
    let until = iso_millis(NOW_MS + DAY_MS);
    let lock = [
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", until.as_str()),
    ];
    assert_eq!(
        code(send(&state, &request("PUT", "k", &lock, b"x"))),
        "InvalidRequest"
    );
    let put = create(&state, "k", b"x", &lock).unwrap();
    let target = format!("k?versionId={}", header(&put, "x-amz-version-id").unwrap());
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    assert_eq!(
        code(send(&state, &request("DELETE", &target, &bypass, b""))),
        "AccessDenied"
    );

    let later = |days: i64, mode: &str| {
        let until = iso_millis(NOW_MS + days * DAY_MS);
        let body = format!(
            "<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        code(send(
            &state,
            &request("PUT", "k?retention", &[], body.as_bytes()),
        ))
    };
    assert_eq!(later(2, "GOVERNANCE"), "AccessDenied");
    assert_eq!(later(2, "COMPLIANCE"), "");
    assert_eq!(later(1, "COMPLIANCE"), "AccessDenied");

    let head = send(&state, &request("HEAD", "k", &[], b"")).unwrap();
    assert_eq!(header(&head, "x-amz-object-lock-mode"), Some("COMPLIANCE"));
    assert_eq!(
        header(&head, "x-amz-checksum-sha256"),
        None,
        "only in checksum mode"
    );
    let request = request("DELETE", &target, &bypass, b"");
    assert!(
        dispatch(&bucket(), "k", &state, NOW_MS + 3 * DAY_MS, &request).is_ok(),
        "the lock ended"
    );
}

#[test]
fn only_the_expected_owner_is_served() {
    let asked = |owner| {
        access(
            &bucket(),
            &request("GET", "k", &[("x-amz-expected-bucket-owner", owner)], b""),
        )
    };
    assert!(asked("111122223333").is_ok());
    assert!(asked("444455556666").is_err());
    let mut foreign = request("GET", "k", &[], b"");
    foreign.caller.account = "444455556666".into();
    assert!(access(&bucket(), &foreign).is_err());
    let shared = Bucket {
        name: "keyproof-evidence-x".into(),
        ..bucket()
    };
    assert!(access(&shared, &foreign).is_ok());
}

/// All pages of a ListObjectsV2, as keys and common prefixes, both still encoded.
fn list(state: &S3State, query: &str) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = send(
            state,
            &request(
                "GET",
                &format!("?list-type=2&encoding-type=url&{query}{token}"),
                &[],
                b"",
            ),
        )
        .unwrap();
        let text = String::from_utf8(page.body).unwrap();
        let each = |open: &str, close: &str| -> Vec<String> {
            text.split(open)
                .skip(1)
                .filter_map(|part| Some(part.split_once(close)?.0.to_owned()))
                .collect()
        };
        keys.extend(each("<Contents><Key>", "</Key>"));
        prefixes.extend(each("<CommonPrefixes><Prefix>", "</Prefix>"));
        match each("<NextContinuationToken>", "<").pop() {
            Some(next) => token = format!("&continuation-token={}", next.replace('+', "%2B")),
            None => return (keys, prefixes),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn listings_do_not_depend_on_the_page_size(
        names in proptest::collection::btree_set("[ab/\u{10ffff}]{1,5}", 0..20),
        size in 1usize..6,
    ) {
        let state = S3State::default();
        for name in &names {
            state.put_raw("evidence", name, vec![], NOW_MS);
        }
        prop_assert_eq!(list(&state, &format!("max-keys={size}")).0.len(), names.len());
        let rolled = format!("delimiter=/&max-keys={size}");
        prop_assert_eq!(list(&state, &rolled), list(&state, "delimiter=/"));
        let rolled = format!("prefix=a&delimiter=/&max-keys={size}");
        prop_assert_eq!(list(&state, &rolled), list(&state, "prefix=a&delimiter=/"));
    }

    #[test]
    fn hostile_requests_are_refused_without_a_panic(
        method in "GET|PUT|HEAD|DELETE|POST",
        key in "\\PC{0,8}",
        query in "(versions|list-type=2|retention|versionId=\\w*|max-keys=-?\\d*|key-marker=a|delimiter=.?|&){0,4}",
        range in "bytes=\\d{0,3}-\\d{0,25}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let state = S3State::default();
        state.put_raw("evidence", &key, body.clone(), NOW_MS);
        let headers = [("range", range.as_str()), ("x-amz-content-sha256", "STREAMING-X")];
        if parse_pairs(&query).is_some() {
            let mut request = request(&method, "", &headers, &body);
            request.path = format!("/evidence/{key}");
            request.query = parse_pairs(&query).unwrap_or_default();
            request.operation = operation_name(&method, &request.path, &request.query, &request.headers);
            let _ = send(&state, &request);
        }
    }
}
