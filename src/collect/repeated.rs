//! Members that a JSON object names twice. A parser that keeps the last one silently may see another
//! document than the service that enforces it, so they are noticed.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// How many members of `text`'s objects stand there again under the same name; 0 for what is no JSON.
pub fn count(text: &str) -> i64 {
    serde_json::from_str::<Repeated>(text).map_or(0, |repeated| repeated.0)
}

struct Repeated(i64);

impl<'de> Deserialize<'de> for Repeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Counter)
    }
}

struct Counter;

impl<'de> Visitor<'de> for Counter {
    type Value = Repeated;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Repeated, A::Error> {
        let mut names = HashSet::new();
        let mut count = 0;
        while let Some(name) = map.next_key::<String>()? {
            count += map.next_value::<Repeated>()?.0;
            count += i64::from(!names.insert(name));
        }
        Ok(Repeated(count))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Repeated, A::Error> {
        let mut count = 0;
        while let Some(item) = list.next_element::<Repeated>()? {
            count += item.0;
        }
        Ok(Repeated(count))
    }

    fn visit_unit<E>(self) -> Result<Repeated, E> {
        Ok(Repeated(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Repeated, E> {
        Ok(Repeated(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Repeated, E> {
        Ok(Repeated(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Repeated, E> {
        Ok(Repeated(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Repeated, E> {
        Ok(Repeated(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Repeated, E> {
        Ok(Repeated(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_named_again_are_counted_wherever_they_stand() {
        for (text, expected) in [
            ("", 0),
            ("{", 0),
            ("7", 0),
            (r#"{"a":1,"b":{"a":2},"c":[{"a":null},{"a":true}]}"#, 0),
            (r#"{"a":1,"a":2,"a":-3.5}"#, 2),
            (r#"[{"x":{"a":"","\u0061":{"b":0,"b":0}}}]"#, 2),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
        assert_eq!(count(&"[".repeat(100_000)), 0);
    }
}
