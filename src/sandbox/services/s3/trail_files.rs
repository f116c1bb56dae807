//! Files of the organization's trail come into being when somebody looks at them: log files, and of every hour
//! a digest file that is signed as CloudTrail signs it, SHA256withRSA, with a key of this process.

use std::io::Write;
use std::sync::{Arc, OnceLock, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use chrono::DateTime;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::store::{Content, Encryption, S3State, etag};
use crate::sandbox::World;
use crate::sandbox::wire::Request;
use crate::sandbox::wire::encoding::hex;
use crate::sandbox::world::Bucket;
use crate::sandbox::world::buckets::BucketKind;
use crate::sandbox::world::trail_files::{self, LogFile, folder, hours};

const HOUR_MS: i64 = 3_600_000;

/// How far files of an account-region were delivered.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// End of the last hour.
    to_ms: Option<i64>,
    previous: Option<Previous>,
}

#[derive(Debug, Clone)]
struct Previous {
    object: String,
    sha256: String,
    signature: String,
}

/// The key that signs: RSA, made at first use.
fn key() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).expect("an RSA key"))
}

/// Its fingerprint, and its public half as PKCS #1.
pub fn public_key() -> (String, Vec<u8>) {
    let public = key().public_key().as_ref().to_vec();
    (hex(&Sha256::digest(&public)[..16]), public)
}

/// Puts the files of the account that the request is about, of every hour that is over.
pub(super) fn provide(
    world: &World,
    state: &S3State,
    now_ms: i64,
    bucket: &Bucket,
    key: &str,
    request: &Request,
) {
    if bucket.kind != BucketKind::Trail {
        return;
    }
    let asked = match request.operation.as_str() {
        "ListObjectsV2" => request.query_value("prefix").unwrap_or_default(),
        _ => key,
    };
    let account = world.accounts.iter();
    let account = { account }.find(|a| asked.starts_with(&folder(world, &a.id)));
    let Some(account) = account else {
        return;
    };
    for region in &world.regions {
        let is_asked = asked.ends_with("CloudTrail/") || asked.ends_with("CloudTrail-Digest/");
        if is_asked || asked.contains(&format!("/{region}/")) {
            deliver(world, state, now_ms, bucket, (&account.id, region));
        }
    }
}

fn deliver(
    world: &World,
    state: &S3State,
    now_ms: i64,
    bucket: &Bucket,
    (account, region): (&str, &'static str),
) {
    let mut delivered = state
        .delivered
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let done = delivered.entry((account.to_owned(), region)).or_default();
    let from_ms = done.to_ms.unwrap_or_else(|| trail_files::first_ms(world));
    if from_ms + HOUR_MS > now_ms {
        return;
    }
    let above = folder(world, account);
    let here = world.account_region(account, region);
    for (hour, file) in hours(world, here, from_ms, now_ms) {
        let to_ms = hour + HOUR_MS;
        let files: Vec<_> = file
            .iter()
            .map(|f| log_file(state, bucket, &above, (account, region), f))
            .collect();
        let name = format!(
            "{above}CloudTrail-Digest/{region}/{}/{account}_CloudTrail-Digest_{region}_organization_{}_{}.json.gz",
            time(to_ms, "%Y/%m/%d"),
            world.regions[0],
            time(to_ms, "%Y%m%dT%H%M%SZ"),
        );
        let end = time(to_ms, "%Y-%m-%dT%H:%M:%SZ");
        let previous = done.previous.as_ref();
        let text = json!({
            "awsAccountId": account,
            "digestStartTime": time(hour, "%Y-%m-%dT%H:%M:%SZ"),
            "digestEndTime": end,
            "digestS3Bucket": bucket.name,
            "digestS3Object": name,
            "digestPublicKeyFingerprint": public_key().0,
            "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": null,
            "oldestEventTime": null,
            "previousDigestS3Bucket": previous.map(|_| &bucket.name),
            "previousDigestS3Object": previous.map(|p| &p.object),
            "previousDigestHashValue": previous.map(|p| &p.sha256),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.map(|p| &p.signature),
            "logFiles": files,
        })
        .to_string();
        let sha256 = hex(&Sha256::digest(&text));
        let before = previous.map_or("null", |p| p.signature.as_str());
        let signature = sign(&format!(
            "{end}\n{}/{name}\n{sha256}\n{before}",
            bucket.name
        ));
        let headers = vec![
            ("x-amz-meta-signature".to_owned(), signature.clone()),
            (
                "x-amz-meta-signature-algorithm".to_owned(),
                "SHA256withRSA".to_owned(),
            ),
        ];
        add(state, bucket, &name, &text, headers, to_ms);
        done.to_ms = Some(to_ms);
        done.previous = Some(Previous {
            object: name,
            sha256,
            signature,
        });
    }
}

/// Puts a log file and gives what a digest file says of it.
fn log_file(
    state: &S3State,
    bucket: &Bucket,
    above: &str,
    (account, region): (&str, &str),
    file: &LogFile,
) -> serde_json::Value {
    let sha256 = hex(&Sha256::digest(&file.text));
    let name = format!(
        "{above}CloudTrail/{region}/{}/{account}_CloudTrail_{region}_{}_{}.json.gz",
        time(file.at_ms, "%Y/%m/%d"),
        time(file.at_ms, "%Y%m%dT%H%MZ"),
        &sha256[..16],
    );
    add(state, bucket, &name, &file.text, Vec::new(), file.at_ms);
    json!({
        "s3Bucket": bucket.name,
        "s3Object": name,
        "hashValue": sha256,
        "hashAlgorithm": "SHA-256",
        "newestEventTime": null,
        "oldestEventTime": null,
    })
}

/// Hex.
fn sign(text: &str) -> String {
    let mut signature = vec![0; key().public_modulus_len()];
    let random = SystemRandom::new();
    key()
        .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature)
        .expect("an RSA key signs");
    hex(&signature)
}

fn time(at_ms: i64, form: &str) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.format(form).to_string()
}

fn add(
    state: &S3State,
    bucket: &Bucket,
    key: &str,
    text: &str,
    headers: Vec<(String, String)>,
    at_ms: i64,
) {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let written = packed.write_all(text.as_bytes());
    let bytes = written
        .and_then(|()| packed.finish())
        .expect("memory takes everything");
    let content = Content {
        etag: etag(&Sha256::digest(&bytes).into()),
        body: Arc::new(bytes),
        checksum: None,
        encryption: Encryption {
            algorithm: "AES256".to_owned(),
            key: None,
            bucket_key: false,
        },
        retention: None,
        headers,
    };
    state
        .lock()
        .add(&bucket.name, key, bucket.versioning, Some(content), at_ms);
}
