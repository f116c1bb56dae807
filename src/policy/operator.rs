//! Condition operators
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>).
//!
//! A key that the request lacks makes a positive operator false and a negated one true; `…IfExists`
//! passes then, `ForAllValues:` is true of no values and `ForAnyValue:` false. Several values of one
//! operator are alternatives, of which a negated operator may match none.

use std::cmp::Ordering;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::context::{Context, Value};
use super::document::Condition;
use super::pattern::{Pattern, Substituted, is_plain, plain_like, plain_like_arn, substitute};
use super::truth::Truth;
use crate::time::{Date, UtcMillis};

/// A condition operator, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    set: Option<Set>,
    base: Base,
    /// The `…Not…` form.
    negated: bool,
    if_exists: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    All,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Text { ignore_case: bool },
    TextLike,
    Number(Test),
    Date(Test),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Test {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equals => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Operator {
    /// Reads a name such as `ForAnyValue:StringNotLikeIfExists`; `None` for one that AWS has not
    /// documented.
    pub fn parse(name: &str) -> Option<Self> {
        let lower = name.to_lowercase();
        let (set, rest) = match lower.split_once(':') {
            Some(("forallvalues", rest)) => (Some(Set::All), rest),
            Some(("foranyvalue", rest)) => (Some(Set::Any), rest),
            Some(_) => return None,
            None => (None, lower.as_str()),
        };
        let (rest, if_exists) = match rest.strip_suffix("ifexists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (base, negated) = match rest {
            "stringequals" => (Base::Text { ignore_case: false }, false),
            "stringnotequals" => (Base::Text { ignore_case: false }, true),
            "stringequalsignorecase" => (Base::Text { ignore_case: true }, false),
            "stringnotequalsignorecase" => (Base::Text { ignore_case: true }, true),
            "stringlike" => (Base::TextLike, false),
            "stringnotlike" => (Base::TextLike, true),
            "numericequals" => (Base::Number(Test::Equals), false),
            "numericnotequals" => (Base::Number(Test::Equals), true),
            "numericlessthan" => (Base::Number(Test::Less), false),
            "numericlessthanequals" => (Base::Number(Test::LessOrEqual), false),
            "numericgreaterthan" => (Base::Number(Test::Greater), false),
            "numericgreaterthanequals" => (Base::Number(Test::GreaterOrEqual), false),
            "dateequals" => (Base::Date(Test::Equals), false),
            "datenotequals" => (Base::Date(Test::Equals), true),
            "datelessthan" => (Base::Date(Test::Less), false),
            "datelessthanequals" => (Base::Date(Test::LessOrEqual), false),
            "dategreaterthan" => (Base::Date(Test::Greater), false),
            "dategreaterthanequals" => (Base::Date(Test::GreaterOrEqual), false),
            "bool" => (Base::Bool, false),
            "binaryequals" => (Base::Binary, false),
            "ipaddress" => (Base::Ip, false),
            "notipaddress" => (Base::Ip, true),
            // The two behave alike: wildcards in either.
            "arnequals" | "arnlike" => (Base::Arn, false),
            "arnnotequals" | "arnnotlike" => (Base::Arn, true),
            "null" if set.is_none() && !if_exists => (Base::Null, false),
            _ => return None,
        };
        Some(Self {
            set,
            base,
            negated,
            if_exists,
        })
    }

    /// Whether it is plain `StringEquals`, `ArnEquals` or `ArnLike`: what names who may come in.
    pub(super) fn names_values(self) -> bool {
        let named = matches!(self.base, Base::Text { ignore_case: false } | Base::Arn);
        named && !self.negated && !self.if_exists && self.set.is_none()
    }
}

/// Whether `condition` holds. `variables`: whether the policy's version has any.
pub fn holds(condition: &Condition, context: &Context, variables: bool) -> Truth {
    let Some(operator) = Operator::parse(&condition.operator) else {
        return Truth::unread(format!("condition operator {}", condition.operator));
    };
    let value = context.value(&condition.key);
    if operator.base == Base::Null {
        return match value {
            Value::Unknown => Truth::key(&condition.key),
            Value::Absent => null(condition, true),
            Value::Many(values) => null(condition, values.is_empty()),
            Value::One(_) => null(condition, false),
        };
    }
    let one = |value: &str| operator.accepts(value, condition, context, variables);
    match (value, operator.set) {
        (Value::Unknown, _) => Truth::key(&condition.key),
        (Value::Absent, set) => missing(operator, set),
        (Value::Many(values), set) if values.is_empty() => missing(operator, set),
        (Value::One(value), _) => one(&value),
        (Value::Many(values), Some(Set::Any)) => Truth::any(values.iter().map(|v| one(v))),
        (Value::Many(values), Some(Set::All)) => Truth::all(values.iter().map(|v| one(v))),
        // Nobody says what a plain operator does with several values.
        (Value::Many(_), None) if context.is_closed() => Truth::False,
        (Value::Many(_), None) => Truth::unread(format!(
            "what {} does with several values of {}",
            condition.operator, condition.key
        )),
    }
}

fn null(condition: &Condition, is_null: bool) -> Truth {
    let wanted = if is_null { "true" } else { "false" };
    let any = condition.values.iter();
    Truth::any(any.map(|value| value.eq_ignore_ascii_case(wanted).into()))
}

/// What the operator says of a key that is not in the request.
fn missing(operator: Operator, set: Option<Set>) -> Truth {
    let passes = operator.if_exists
        || match set {
            Some(Set::All) => true,
            Some(Set::Any) => false,
            None => operator.negated,
        };
    passes.into()
}

impl Operator {
    /// Whether one value of the request passes.
    fn accepts(
        self,
        value: &str,
        condition: &Condition,
        context: &Context,
        variables: bool,
    ) -> Truth {
        let context = variables.then_some(context);
        let matched = Truth::any(condition.values.iter().map(|wanted| {
            match self.base {
                Base::Text { ignore_case: false } if is_plain(wanted, context) => {
                    (wanted == value).into()
                }
                Base::TextLike if is_plain(wanted, context) && value.is_ascii() => {
                    plain_like(wanted.as_bytes(), value.as_bytes(), |a, b| a == b).into()
                }
                Base::Arn if is_plain(wanted, context) && value.is_ascii() => {
                    plain_like_arn(wanted, value).into()
                }
                Base::Text { .. } | Base::TextLike | Base::Arn => {
                    match substitute(wanted, context) {
                        Substituted::Pattern(pattern) => self.matches(&pattern, value).into(),
                        Substituted::Nothing => Truth::False,
                        Substituted::Unknown(key) => Truth::key(&key),
                    }
                }
                Base::Number(test) => compare(test, number(value), number(wanted)),
                Base::Date(test) => compare(test, date(value), date(wanted)),
                Base::Bool => {
                    (boolean(value).is_some() && boolean(value) == boolean(wanted)).into()
                }
                Base::Binary => {
                    let bytes = |text: &str| BASE64.decode(text).ok();
                    (bytes(value).is_some() && bytes(value) == bytes(wanted)).into()
                }
                Base::Ip => ip_within(value, wanted).into(),
                // Decided by presence before.
                Base::Null => Truth::False,
            }
        }));
        if self.negated { !matched } else { matched }
    }

    fn matches(self, pattern: &Pattern, value: &str) -> bool {
        match self.base {
            Base::Text { ignore_case } => pattern.equals(value, ignore_case),
            Base::TextLike => pattern.like(value),
            Base::Arn => pattern.like_arn(value),
            _ => false,
        }
    }
}

fn compare<T: PartialOrd>(test: Test, value: Option<T>, wanted: Option<T>) -> Truth {
    let order = value.zip(wanted).and_then(|(v, w)| v.partial_cmp(&w));
    order.is_some_and(|order| test.holds(order)).into()
}

/// A decimal number; no exponents, no infinities.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { text.parse().ok() } else { None }
}

/// ISO 8601 from a year to a fraction of a second, or seconds since 1970 (more than four digits),
/// as milliseconds.
fn date(text: &str) -> Option<i64> {
    let start = |date: String| date.parse::<Date>().ok().map(|d| d.start().0);
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.len() {
        4 if digits => start(format!("{text}-01-01")),
        5..=15 if digits => text.parse::<i64>().ok()?.checked_mul(1000),
        7 => start(format!("{text}-01")),
        10 => start(text.to_owned()),
        _ => instant(text),
    }
}

fn instant(text: &str) -> Option<i64> {
    let read = |text: &str| text.parse::<UtcMillis>().ok().map(|t| t.0);
    // `2026-11-24T10:00Z` leaves the seconds out.
    read(text).or_else(|| {
        let (minutes, zone) = text.split_at_checked(16)?;
        read(&format!("{minutes}:00{zone}"))
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Whether an address lies in a CIDR block, or is the address given.
fn ip_within(address: &str, block: &str) -> bool {
    let (network, length) = match block.split_once('/') {
        Some((network, length)) => match length.parse::<u32>() {
            Ok(length) => (network, Some(length)),
            Err(_) => return false,
        },
        None => (block, None),
    };
    let top = |bits: u128, width: u32, length: u32| {
        let unused = width - length;
        bits.checked_shr(unused).unwrap_or(0)
    };
    match (address.parse(), network.parse()) {
        (Ok(IpAddr::V4(address)), Ok(IpAddr::V4(network))) => {
            let length = length.unwrap_or(32);
            let bits = |ip: std::net::Ipv4Addr| u128::from(u32::from(ip));
            length <= 32 && top(bits(address), 32, length) == top(bits(network), 32, length)
        }
        (Ok(IpAddr::V6(address)), Ok(IpAddr::V6(network))) => {
            let length = length.unwrap_or(128);
            length <= 128 && top(address.into(), 128, length) == top(network.into(), 128, length)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(operator: &str, values: &[&str], context: &Context) -> Truth {
        let condition = Condition {
            operator: operator.to_owned(),
            key: "k:x".to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        holds(&condition, context, true)
    }

    fn one(operator: &str, wanted: &str, value: &str) -> bool {
        match with(operator, &[wanted], &Context::closed().with("k:x", value)) {
            Truth::True => true,
            Truth::False => false,
            unknown => panic!("{operator}: {unknown:?}"),
        }
    }

    /// operator, value of the policy, values that pass, values that do not.
    type Row = (
        &'static str,
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    );

    #[test]
    fn every_operator() {
        let rows: &[Row] = &[
            ("StringEquals", "aB*", &["aB*"], &["ab*", "aBc"]),
            ("StringNotEquals", "aB", &["ab"], &["aB"]),
            ("StringEqualsIgnoreCase", "ÄB", &["äb"], &["b"]),
            ("StringNotEqualsIgnoreCase", "AB", &["b"], &["ab"]),
            ("StringLike", "a?c*", &["abc", "abcd"], &["ac", "ABC"]),
            ("StringNotLike", "a*", &["b"], &["a", "ab"]),
            ("NumericEquals", "10", &["10", "10.0"], &["1", "x", "1e1"]),
            ("NumericNotEquals", "10", &["11"], &["10"]),
            ("NumericLessThan", "10", &["9.5", "-1"], &["10", "11"]),
            ("NumericLessThanEquals", "10", &["10"], &["10.1"]),
            ("NumericGreaterThan", "10", &["11"], &["10"]),
            ("NumericGreaterThanEquals", "10", &["10"], &["9"]),
            (
                "DateEquals",
                "2026-11-24",
                &["2026-11-24T00:00:00Z"],
                &["2026-11-24T00:00:01Z"],
            ),
            ("DateNotEquals", "2026", &["2026-01-02"], &["2026-01-01"]),
            (
                "DateLessThan",
                "2026-11-24T10:00Z",
                &["1700000000"],
                &["2026-11-24T12:00:00+02:00"],
            ),
            (
                "DateLessThanEquals",
                "1700000000",
                &["2023-11-14T22:13:20Z"],
                &["2027"],
            ),
            (
                "DateGreaterThan",
                "2026-11",
                &["2026-11-01T00:00:00.001Z"],
                &["2026-11-01", "x"],
            ),
            (
                "DateGreaterThanEquals",
                "2026-11-01",
                &["2026-11-01"],
                &["2026-10-31"],
            ),
            ("Bool", "true", &["true", "TRUE"], &["false", "1"]),
            ("BinaryEquals", "QUJD", &["QUJD"], &["QUJE", "%"]),
            (
                "IpAddress",
                "10.1.0.0/16",
                &["10.1.2.3"],
                &["10.2.0.1", "::1", "x"],
            ),
            ("IpAddress", "0.0.0.0/0", &["1.2.3.4"], &["2001:db8::1"]),
            (
                "IpAddress",
                "2001:db8::/32",
                &["2001:db8::1"],
                &["2001:db9::1", "10.1.2.3"],
            ),
            ("IpAddress", "10.1.2.3", &["10.1.2.3"], &["10.1.2.4"]),
            ("NotIpAddress", "10.1.0.0/16", &["10.2.0.1"], &["10.1.0.1"]),
            (
                "ArnEquals",
                "arn:aws:s3:::b/*",
                &["arn:aws:s3:::b/k"],
                &["arn:aws:s3:::c/k", "b"],
            ),
            (
                "ArnLike",
                "arn:*:iam::1:role/r?",
                &["arn:aws:iam::1:role/rx"],
                &["arn:aws:iam::2:role/rx"],
            ),
            (
                "ArnNotEquals",
                "arn:aws:s3:::b",
                &["arn:aws:s3:::c"],
                &["arn:aws:s3:::b"],
            ),
            (
                "ArnNotLike",
                "arn:aws:s3:::*",
                &["arn:aws:kms:::b"],
                &["arn:aws:s3:::b"],
            ),
            ("Null", "false", &["", "x"], &[]),
            ("Null", "true", &[], &["x"]),
        ];
        for (operator, wanted, pass, fail) in rows {
            for value in *pass {
                assert!(one(operator, wanted, value), "{operator} {wanted} {value}");
            }
            for value in *fail {
                assert!(!one(operator, wanted, value), "{operator} {wanted} {value}");
            }
        }
    }

    #[test]
    fn a_missing_key_fails_positive_and_passes_negated_operators() {
        let none = Context::closed();
        for (operator, passes) in [
            ("StringEquals", false),
            ("StringNotEquals", true),
            ("StringNotLike", true),
            ("NotIpAddress", true),
            ("ArnNotLike", true),
            ("NumericNotEquals", true),
            ("DateNotEquals", true),
            ("Bool", false),
            ("BinaryEquals", false),
            ("DateLessThan", false),
            ("StringEqualsIfExists", true),
            ("BoolIfExists", true),
            ("ForAllValues:StringEquals", true),
            ("ForAllValues:StringNotEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringNotEquals", false),
            ("ForAnyValue:StringEqualsIfExists", true),
        ] {
            assert_eq!(with(operator, &["x"], &none), passes.into(), "{operator}");
            let empty = none.clone().with("k:x", Value::Many(Vec::new()));
            assert_eq!(
                with(operator, &["x"], &empty),
                passes.into(),
                "{operator}, empty"
            );
            assert_eq!(
                with(operator, &["x"], &Context::open()),
                Truth::key("k:x"),
                "{operator}"
            );
        }
        assert!(with("Null", &["true"], &none).is_true());
        assert!(with("Null", &["false"], &none).is_false());
    }

    #[test]
    fn several_values() {
        let one = Context::closed().with("k:x", "a");
        assert!(with("StringEquals", &["b", "a"], &one).is_true());
        assert!(with("StringNotEquals", &["b", "a"], &one).is_false());
        let both = one.with("k:x", Value::Many(vec!["a".into(), "b".into()]));
        assert!(with("ForAllValues:StringEquals", &["a", "b", "c"], &both).is_true());
        assert!(with("ForAllValues:StringEquals", &["a"], &both).is_false());
        assert!(with("ForAnyValue:StringEquals", &["b", "z"], &both).is_true());
        assert!(with("ForAnyValue:StringNotEquals", &["a"], &both).is_true());
        assert!(with("ForAllValues:StringNotEquals", &["a"], &both).is_false());
        assert!(with("StringEquals", &["a"], &both).is_false());
    }

    #[test]
    fn what_is_no_operator_cannot_be_told() {
        for name in [
            "StringMatches",
            "",
            "ForSomeValues:Bool",
            "NullIfExists",
            "ForAnyValue:Null",
            "ß",
        ] {
            assert!(
                matches!(with(name, &["x"], &Context::closed()), Truth::Unknown(_)),
                "{name}"
            );
        }
    }

    #[test]
    fn nonsense_values_never_panic() {
        for text in [
            "",
            "é",
            "-",
            "9".repeat(400).as_str(),
            "2026-13-45T99:99Z",
            "1/33",
            "é".repeat(9).as_str(),
        ] {
            for operator in [
                "NumericEquals",
                "DateEquals",
                "IpAddress",
                "BinaryEquals",
                "ArnLike",
            ] {
                let _ = one(operator, text, text);
                let _ = one(operator, text, "10.0.0.1");
            }
        }
        assert!(!one("IpAddress", "10.0.0.0/99", "10.0.0.1"));
    }
}
