//! What can befall a call of storage.

use keyproof::sandbox::wire::{FaultKind, FaultRule, Faults};

/// The operations of S3 on the archive's bucket that a run is made of.
pub const OPERATIONS: [&str; 12] = [
    "HeadBucket",
    "ListObjectsV2",
    "ListObjectVersions",
    "GetObject",
    "HeadObject",
    "PutObject",
    "GetBucketVersioning",
    "GetObjectLockConfiguration",
    "GetBucketEncryption",
    "GetPublicAccessBlock",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
];

/// One way in which a call may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Refused or unanswered so many times, then well.
    Passing(Ill, u64),
    /// This call and every later one of its operation.
    ForGood(Ill),
    /// This call alone, and nobody asks again.
    Denied,
    /// Another writer took the name with other bytes in the instant before.
    Taken,
    /// From this call on storage cannot be reached: how a process that dies looks from S3.
    Gone,
    /// The same, and this call was carried out.
    GoneAfter,
    /// From this call on the credentials are refused as expired.
    Expired,
}

/// What one attempt suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ill {
    SlowDown,
    InternalError,
    AccessDenied,
    /// The connection is cut before the call was carried out.
    LostRequest,
    /// The call is carried out and its answer lost: the next attempt of a PUT gets a 412.
    LostAnswer,
    /// No answer within the time for one attempt.
    Hangs,
    /// Half of the answer arrives.
    HalfAnswer,
    /// 409 ConditionalRequestConflict.
    Conflict,
    /// 400 BadDigest: the bytes arrived changed.
    BadDigest,
    /// 400 RequestTimeout: the bytes did not arrive in time.
    RequestTimeout,
    /// The answer names another checksum than the object's.
    WrongChecksum,
    /// A bit of the body arrives changed.
    Flip,
}

impl Ill {
    fn fault(self) -> (FaultKind, Option<&'static str>) {
        match self {
            Self::SlowDown => (FaultKind::Throttle, None),
            Self::InternalError => (FaultKind::ServerError, None),
            Self::AccessDenied => (FaultKind::Deny, None),
            Self::LostRequest => (FaultKind::LostRequest, None),
            Self::LostAnswer => (FaultKind::LostAcknowledgement, None),
            Self::Hangs => (FaultKind::Hang, None),
            Self::HalfAnswer => (FaultKind::Cut, None),
            Self::Conflict => (FaultKind::Refuse(409), Some("ConditionalRequestConflict")),
            Self::BadDigest => (FaultKind::Refuse(400), Some("BadDigest")),
            Self::RequestTimeout => (FaultKind::Refuse(400), Some("RequestTimeout")),
            Self::WrongChecksum => (FaultKind::WrongChecksum, None),
            Self::Flip => (FaultKind::Flip, None),
        }
    }
}

impl Kind {
    /// Every kind that can befall a call of `operation`.
    pub fn of(operation: &str) -> Vec<Self> {
        use Ill::{
            AccessDenied, BadDigest, Conflict, Flip, HalfAnswer, Hangs, InternalError, LostAnswer,
            LostRequest, RequestTimeout, SlowDown, WrongChecksum,
        };
        let mut kinds = vec![
            Self::Passing(SlowDown, 1),
            Self::Passing(SlowDown, 3),
            Self::Passing(InternalError, 1),
            Self::Passing(LostRequest, 1),
            Self::Passing(LostAnswer, 1),
            Self::Passing(Hangs, 1),
            Self::ForGood(SlowDown),
            Self::ForGood(InternalError),
            Self::ForGood(AccessDenied),
            Self::ForGood(LostAnswer),
            Self::Denied,
        ];
        match operation {
            "PutObject" => kinds.extend([
                Self::Taken,
                Self::Passing(Conflict, 1),
                Self::Passing(Conflict, 3),
                Self::ForGood(Conflict),
                Self::Passing(BadDigest, 1),
                Self::ForGood(BadDigest),
                Self::Passing(RequestTimeout, 1),
                Self::Passing(WrongChecksum, 1),
                Self::ForGood(WrongChecksum),
            ]),
            "GetObject" => kinds.extend([
                Self::Passing(HalfAnswer, 1),
                Self::Passing(Flip, 1),
                Self::ForGood(Flip),
                Self::Passing(WrongChecksum, 1),
                Self::ForGood(WrongChecksum),
            ]),
            "HeadObject" | "HeadBucket" => {}
            _ => kinds.push(Self::Passing(HalfAnswer, 1)),
        }
        kinds
    }

    /// The kinds that strike all operations from one call on.
    pub fn of_all() -> [Self; 3] {
        [Self::Gone, Self::GoneAfter, Self::Expired]
    }

    /// Whether a run must get over it.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Passing(..))
    }

    /// Whether the call is asked again for minutes, in which clusters change their states.
    pub fn takes_minutes(self) -> bool {
        matches!(self, Self::ForGood(ill) if ill != Ill::AccessDenied)
    }

    /// The faults that make the call after `after` others go wrong; `operation` is none where all count.
    pub fn faults(self, bucket: &str, operation: Option<&str>, after: u64) -> Faults {
        let rule = |ill: Ill, after: u64, first_n: Option<u64>| {
            let (kind, code) = ill.fault();
            FaultRule {
                code: code.map(str::to_owned),
                ..on(bucket, operation, kind, after, first_n)
            }
        };
        let rules = match self {
            Self::Passing(ill, times) => vec![rule(ill, after, Some(times))],
            Self::ForGood(ill) => vec![rule(ill, after, None)],
            Self::Denied => vec![rule(Ill::AccessDenied, after, Some(1))],
            Self::Taken => vec![on(bucket, operation, FaultKind::Overtake, after, Some(1))],
            Self::Gone => vec![rule(Ill::LostRequest, after, None)],
            Self::GoneAfter => vec![
                rule(Ill::LostAnswer, after, Some(1)),
                rule(Ill::LostRequest, after + 1, None),
            ],
            Self::Expired => vec![FaultRule {
                code: Some("ExpiredToken".to_owned()),
                ..on(bucket, operation, FaultKind::Refuse(400), after, None)
            }],
        };
        Faults { rules, seed: 0 }
    }
}

/// Rules that count the calls of each operation, and of all, and let them pass.
pub fn counting(bucket: &str) -> Faults {
    let every = OPERATIONS.iter().map(|operation| Some(*operation));
    let rules = every.chain([None]).map(|operation| FaultRule {
        share: 0.0,
        ..on(bucket, operation, FaultKind::Throttle, 0, None)
    });
    Faults {
        rules: rules.collect(),
        seed: 0,
    }
}

fn on(
    bucket: &str,
    operation: Option<&str>,
    kind: FaultKind,
    after: u64,
    first_n: Option<u64>,
) -> FaultRule {
    FaultRule {
        service: Some("s3".to_owned()),
        operation: operation.map(str::to_owned),
        path_contains: Some(format!("/{bucket}")),
        after_n: Some(after),
        first_n,
        ..FaultRule::every(kind)
    }
}
