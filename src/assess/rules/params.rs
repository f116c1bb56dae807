//! Parameters of a reason, as canonical JSON.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use serde::Serialize;

use crate::model::text::Text;

/// Names and values, each value written down as it comes: rules are asked of every cluster, and a
/// tree of values for each answer would cost more than the question.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::assess) struct Params {
    /// Names, and where in `written` each stands with its value.
    named: Vec<(Cow<'static, str>, Range<usize>)>,
    written: Vec<u8>,
}

thread_local! {
    /// The room of the last that were written down, for the next.
    static ROOM: Cell<Params> = const { Cell::new(Params::NONE) };
}

impl Params {
    const NONE: Self = Self {
        named: Vec::new(),
        written: Vec::new(),
    };

    /// Gives `name` a value, instead of the one that it has.
    pub fn set(&mut self, name: Cow<'static, str>, value: &impl Serialize) {
        if self.named.is_empty() {
            *self = ROOM.take();
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
    pub fn into_json(mut self) -> Text {
        if self.named.is_empty() {
            return "{}".into();
        }
        self.named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        // The object is put together behind its parts.
        let from = self.written.len();
        for (at, (_, place)) in self.named.drain(..).enumerate() {
            self.written.push(if at == 0 { b'{' } else { b',' });
            self.written.extend_from_within(place);
        }
        self.written.push(b'}');
        // JSON is UTF-8.
        let json = std::str::from_utf8(&self.written[from..]).unwrap_or_default();
        let json = Text::Shared(json.into());
        self.written.clear();
        ROOM.set(self);
        json
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
