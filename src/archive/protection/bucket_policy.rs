//! What the bucket policy denies to everyone.

use super::{Answer, Protection, row, unanswered};
use crate::model::words::CheckOutcome::{Fail, Pass, Unknown};
use crate::policy::{Clause, Condition, Effect, Policy, Principals};

/// One thing that the policy is asked about.
struct Check {
    name: &'static str,
    /// Every one of them is to be denied.
    actions: &'static [&'static str],
    /// Whether the actions are of the bucket, not of its objects.
    of_bucket: bool,
    /// Whether a Deny under these conditions still does what is asked for.
    holds: fn(&[Condition]) -> bool,
    good: &'static str,
    bad: &'static str,
}

const CHECKS: [Check; 5] = [
    Check {
        name: "tls_only",
        actions: &["s3:GetObject", "s3:PutObject"],
        of_bucket: false,
        holds: |conditions| match conditions {
            [one] => is(
                one,
                &["Bool", "BoolIfExists"],
                "aws:SecureTransport",
                "false",
            ),
            _ => false,
        },
        good: "requests without TLS are denied",
        bad: "requests without TLS are not denied: deny s3:* where aws:SecureTransport is false",
    },
    Check {
        name: "delete_denied",
        actions: &["s3:DeleteObject", "s3:DeleteObjectVersion"],
        of_bucket: false,
        holds: <[_]>::is_empty,
        good: "deleting objects and versions is denied",
        bad: "deleting is not denied: deny s3:DeleteObject and s3:DeleteObjectVersion",
    },
    Check {
        name: "create_only",
        actions: &["s3:PutObject"],
        of_bucket: false,
        holds: |conditions| {
            let absent = |c: &Condition| is(c, &["Null"], "s3:if-none-match", "true");
            let creating = |c: &Condition| is(c, &["Bool"], "s3:ObjectCreationOperation", "true");
            conditions.iter().all(|c| absent(c) || creating(c)) && conditions.iter().any(absent)
        },
        good: "only creating writes are allowed",
        bad: "overwriting is not denied: deny s3:PutObject where s3:if-none-match is absent",
    },
    Check {
        name: "lock_bypass_denied",
        actions: &["s3:BypassGovernanceRetention"],
        of_bucket: false,
        holds: <[_]>::is_empty,
        good: "ending a GOVERNANCE lock early is denied",
        bad: "ending a GOVERNANCE lock early is not denied: deny s3:BypassGovernanceRetention",
    },
    Check {
        name: "settings_guarded",
        actions: &[
            "s3:DeleteBucketPolicy",
            "s3:PutBucketObjectLockConfiguration",
            "s3:PutBucketPolicy",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
        ],
        of_bucket: true,
        holds: |conditions| match conditions {
            [] => true,
            [one] => names_administrators(one),
            _ => false,
        },
        good: "the bucket's settings are denied to all but named administrators",
        bad: "whoever IAM allows may change the bucket's policy, versioning, lock, encryption and \
              lifecycle: deny that to all but named administrators",
    },
];

/// Judges a bucket policy for the objects below `prefix` (a key, `""` for the whole bucket).
///
/// PASS needs a Deny for everyone that surely applies; a Deny with conditions that are not
/// understood here is UNKNOWN, since it may exempt anyone.
pub(super) fn judge(
    policy: &Answer<Option<String>>,
    bucket: &str,
    prefix: &str,
) -> Vec<Protection> {
    let policy = match policy {
        // A bucket without a policy denies nothing: the same as an empty one.
        Ok(None) => Ok(Policy::default()),
        Ok(Some(text)) => match Policy::parse(text) {
            Ok(policy) if policy.unread.is_empty() => Ok(policy),
            Ok(_) => Err("parts of the bucket policy are not understood".to_owned()),
            Err(error) => Err(format!("the bucket policy cannot be read: {error}")),
        },
        Err(why) => Err(why.clone()),
    };
    let of_check = |check: &Check| match &policy {
        Err(why) => unanswered(check.name, why),
        Ok(policy) => {
            let on = if check.of_bucket {
                bucket.to_owned()
            } else {
                format!("{bucket}/{prefix}*")
            };
            check.of(&denies(policy, &on))
        }
    };
    CHECKS.iter().map(of_check).collect()
}

impl Check {
    fn of(&self, denies: &[Deny<'_>]) -> Protection {
        let by = |accept: &dyn Fn(&Deny<'_>) -> bool| {
            let denied = |action: &&str| denies.iter().any(|d| d.covers(action) && accept(d));
            self.actions.iter().all(denied)
        };
        let holds = |deny: &Deny<'_>| deny.understood && (self.holds)(deny.conditions);
        // A Deny of everything under some other condition (no TLS, another organization) is no hint
        // that this check was meant.
        let hinted = |deny: &Deny<'_>| !deny.is_sweeping();
        if by(&holds) {
            row(self.name, Pass, self.good)
        } else if by(&|deny| holds(deny) || hinted(deny)) {
            let detail = "denied under conditions that may exempt someone: read the bucket policy";
            row(self.name, Unknown, detail)
        } else {
            row(self.name, Fail, self.bad)
        }
    }
}

/// A Deny for every principal.
struct Deny<'p> {
    actions: &'p Clause<Vec<String>>,
    conditions: &'p [Condition],
    /// Nothing of the statement was passed over.
    understood: bool,
}

impl Deny<'_> {
    fn covers(&self, action: &str) -> bool {
        let named = |patterns: &[String]| patterns.iter().any(|p| matches(p, action));
        match self.actions {
            Clause::Is(patterns) => named(patterns),
            Clause::Not(patterns) => !named(patterns),
        }
    }

    fn is_sweeping(&self) -> bool {
        match self.actions {
            Clause::Is(patterns) => patterns.iter().any(|a| a == "*" || a == "s3:*"),
            Clause::Not(_) => true,
        }
    }
}

/// The Deny statements that concern everyone and everything that `resource` stands for.
fn denies<'p>(policy: &'p Policy, resource: &str) -> Vec<Deny<'p>> {
    let statements = policy.statements.iter();
    let concerned = statements.filter(|s| s.effect == Some(Effect::Deny));
    let concerned = concerned.filter(|s| is_everyone(s.principal.as_ref()));
    let concerned = concerned.filter(|s| match &s.resource {
        Some(Clause::Is(resources)) => resources.iter().any(|named| {
            // arn:<partition>:s3:::<bucket>/<pattern>
            let pattern = named.splitn(6, ':').nth(5).unwrap_or(named);
            matches(pattern, resource)
        }),
        _ => false,
    });
    let denies = concerned.filter_map(|s| {
        Some(Deny {
            actions: s.action.as_ref()?,
            conditions: &s.conditions,
            understood: s.unread.is_empty(),
        })
    });
    denies.collect()
}

fn is_everyone(principal: Option<&Clause<Principals>>) -> bool {
    match principal {
        Some(Clause::Is(Principals::Everyone)) => true,
        Some(Clause::Is(Principals::Named(named))) => named
            .iter()
            .any(|(kind, names)| kind.as_str() == "AWS" && names.iter().any(|n| n == "*")),
        _ => false,
    }
}

/// Whether a condition is one of these operators on a key with one value; case does not matter.
fn is(condition: &Condition, operators: &[&str], key: &str, value: &str) -> bool {
    let one = condition.values.as_slice();
    operators
        .iter()
        .any(|o| condition.operator.eq_ignore_ascii_case(o))
        && condition.key.eq_ignore_ascii_case(key)
        && matches!(one, [v] if v.eq_ignore_ascii_case(value))
}

/// Whether a Deny spares nobody but principals that the condition names, one by one.
fn names_administrators(condition: &Condition) -> bool {
    const EXEMPTING: [&str; 4] = [
        "ArnNotEquals",
        "ArnNotLike",
        "StringNotEquals",
        "StringNotLike",
    ];
    let operator = |o: &&str| condition.operator.eq_ignore_ascii_case(o);
    let named = |value: &String| value.starts_with("arn:") && !value.contains(['*', '?', '$']);
    EXEMPTING.iter().any(operator)
        && condition.key.eq_ignore_ascii_case("aws:PrincipalArn")
        && condition.values.iter().all(named)
}

/// Whether `pattern` (with `*` and `?`, case ignored) matches everything that `text` stands for; a
/// `*` in `text` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let (p, t) = (pattern.as_bytes(), text.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while j < t.len() {
        if i < p.len() && p[i] == b'*' {
            star = Some((i, j));
            i += 1;
        } else if i < p.len() && t[j] != b'*' && (p[i] == b'?' || p[i].eq_ignore_ascii_case(&t[j]))
        {
            i += 1;
            j += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            i = at + 1;
            j = from + 1;
        } else {
            return false;
        }
    }
    p[i..].iter().all(|b| *b == b'*')
}
