//! Canonical JSON: keys sorted by code point, no white space, shortest escapes. Two values that are
//! equal have the same bytes, so their digests can be compared.

use serde_json::Value;

/// The canonical text of `value`.
pub fn to_string(value: &Value) -> String {
    // serde_json's map is sorted unless some dependency switches `preserve_order` on, which
    // `.ci/run` refuses and the test below notices.
    value.to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_sorted() {
        let value = serde_json::json!({"b": 1, "a": {"d": null, "c": "ü\u{1}"}});
        assert_eq!(
            super::to_string(&value),
            "{\"a\":{\"c\":\"ü\\u0001\",\"d\":null},\"b\":1}"
        );
    }
}
