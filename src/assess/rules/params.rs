//! Parameters of a reason, as canonical JSON.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

/// Names and values, each value written down as it comes: rules are asked of every cluster, and a
/// tree of values for each answer would cost more than the question.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::assess) struct Params {
    /// Names, and where in `written` each stands with its value.
    named: Vec<(Cow<'static, str>, Range<usize>)>,
    written: Vec<u8>,
}

impl Params {
    /// Gives `name` a value, instead of the one that it has.
    pub fn set(&mut self, name: Cow<'static, str>, value: &impl Serialize) {
        if self.named.is_empty() {
            // As much as most findings need.
            self.named.reserve(8);
            self.written.reserve(256);
        }
        let from = self.written.len();
        put(&mut self.written, &name);
        self.written.push(b':');
        put(&mut self.written, value);
        let place = from..self.written.len();
        match self.named.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = place,
            None => self.named.push((name, place)),
        }
    }

    /// The object, as [`crate::model::canonical`] writes it.
    pub fn into_json(mut self) -> String {
        self.named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut json = Vec::with_capacity(self.written.len() + self.named.len() + 2);
        json.push(b'{');
        for (at, (_, place)) in self.named.into_iter().enumerate() {
            if at > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&self.written[place]);
        }
        json.push(b'}');
        // JSON is UTF-8.
        String::from_utf8(json).unwrap_or_default()
    }
}

/// Texts, numbers and lists of them can be written, and memory takes them: `null` is never seen.
fn put(json: &mut Vec<u8>, value: &impl Serialize) {
    let from = json.len();
    if serde_json::to_writer(&mut *json, value).is_err() {
        json.truncate(from);
        json.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::canonical;
    use serde_json::json;

    #[test]
    fn params_are_written_as_canonical_json() {
        let mut params = Params::default();
        assert_eq!(params.clone().into_json(), "{}");
        params.set("b".into(), &"ü\u{1}\"");
        params.set("list".into(), &vec!["x", "y"]);
        params.set("a".into(), &1);
        params.set("object".into(), &json!({"d": null, "c": [true]}));
        params.set("b".into(), &"again \\");
        params.set("odd \"name".into(), &-7);
        let same = json!({"a": 1, "b": "again \\", "list": ["x", "y"], "odd \"name": -7,
            "object": {"c": [true], "d": null}});
        assert_eq!(params.into_json(), canonical::to_string(&same));
    }
}
