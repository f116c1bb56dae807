//! Serde helpers: values that stand in JSON as their text form, numbers included, because readers in
//! other languages lose digits of large JSON numbers. Only the form that writing gives is accepted.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

fn parse<T: Display + FromStr, E: Error>(text: &str) -> Result<T, E> {
    text.parse::<T>()
        .ok()
        .filter(|value| value.to_string() == text)
        .ok_or_else(|| E::custom(format!("'{}' is not in canonical form", shortened(text))))
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

pub fn serialize<T: Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

pub fn deserialize<'de, T: Display + FromStr, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    parse(&String::deserialize(d)?)
}

/// The same for a value that may be left out.
pub mod option {
    use super::*;

    pub fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => s.collect_str(value),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, T: Display + FromStr, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Option<T>, D::Error> {
        parse(&String::deserialize(d)?).map(Some)
    }
}

/// The same for a list.
pub mod list {
    use super::*;

    pub fn serialize<T: Display, S: Serializer>(values: &[T], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(values.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, T: Display + FromStr, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Vec<T>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| parse(text)).collect()
    }
}

/// The same for counts by name.
pub mod map {
    use std::collections::BTreeMap;

    use super::*;

    pub fn serialize<T: Display, S: Serializer>(
        values: &BTreeMap<String, T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.collect_map(values.iter().map(|(name, value)| (name, value.to_string())))
    }

    pub fn deserialize<'de, T: Display + FromStr, D: Deserializer<'de>>(
        d: D,
    ) -> Result<BTreeMap<String, T>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(d)?;
        texts
            .into_iter()
            .map(|(name, text)| Ok((name, parse(&text)?)))
            .collect()
    }
}

/// Canonical JSON of `value` in one line, with LF.
///
/// The types here hold texts, counts and maps with text keys; writing them cannot fail, and if it
/// ever did the empty line is refused by every reader.
pub fn canonical_line<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut line = canonical_json(value);
    line.push(b'\n');
    line
}

/// Canonical JSON of `value`, no LF.
pub fn canonical_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_value(value)
        .map(|value| crate::model::canonical::to_string(&value))
        .unwrap_or_default()
        .into_bytes()
}
