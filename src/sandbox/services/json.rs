//! JSON bodies in and out, page tokens and times, as the JSON services share them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::sandbox::wire::{AwsError, Request, Response};

/// The members of a request; an empty body has none.
pub(super) fn input(request: &Request) -> Result<Map<String, Value>, AwsError> {
    if request.body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(AwsError::new(
            400,
            "SerializationException",
            "the body is not a JSON object",
        )),
    }
}

/// A text member; absent, null and other types read as absent.
pub(super) fn text<'a>(input: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

/// A text member that the operation cannot do without.
pub(super) fn required<'a>(input: &'a Map<String, Value>, name: &str) -> Result<&'a str, AwsError> {
    text(input, name).ok_or_else(|| {
        let message = format!("1 validation error detected: Value at '{name}' must not be null");
        AwsError::new(400, "ValidationException", message)
    })
}

/// The texts of a list member.
pub(super) fn texts<'a>(input: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let items = input.get(name).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// A 200 answer in awsJson1.1.
pub(super) fn reply(body: &Value) -> Response {
    Response {
        status: 200,
        headers: vec![(
            "content-type".to_owned(),
            "application/x-amz-json-1.1".to_owned(),
        )],
        body: body.to_string().into_bytes(),
    }
}

/// An operation that this service does not have.
pub(super) fn unknown_operation(request: &Request) -> AwsError {
    let message = format!("unknown operation {}", request.operation);
    AwsError::new(400, "UnknownOperationException", message)
}

/// A timestamp as JSON services write it: seconds since the epoch, with a fraction.
pub(super) fn seconds(at_ms: i64) -> Value {
    json!(at_ms as f64 / 1_000.0)
}

/// An opaque page token for a position.
pub(super) fn token(position: usize) -> String {
    STANDARD.encode(format!("keyproof-sandbox/{position}"))
}

/// The position of a page token, or `None` for one that was never given out.
pub(super) fn position(token: &str) -> Option<usize> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    text.strip_prefix("keyproof-sandbox/")?.parse().ok()
}

/// The page that starts at `from` and where the next one starts, if there is one.
pub(super) fn page<T>(items: &[T], from: usize, size: usize) -> (&[T], Option<usize>) {
    let from = from.min(items.len());
    let to = from.saturating_add(size.max(1)).min(items.len());
    (&items[from..to], (to < items.len()).then_some(to))
}

/// `MaxResults` or `Limit`, between 1 and what the service allows.
pub(super) fn page_size(
    input: &Map<String, Value>,
    name: &str,
    default: usize,
    most: usize,
) -> Result<usize, AwsError> {
    match input.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value
            .as_u64()
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=most).contains(size))
            .ok_or_else(|| {
                let message = format!("{name} must be between 1 and {most}");
                AwsError::new(400, "ValidationException", message)
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_partition_the_items() {
        let items: Vec<u32> = (0..7).collect();
        let mut seen = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next {
            let (part, then) = page(&items, from, 3);
            seen.extend_from_slice(part);
            next = then;
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn only_own_tokens_are_positions() {
        assert_eq!(position(&token(41)), Some(41));
        assert_eq!(position("not a token"), None);
        assert_eq!(position(&STANDARD.encode("other/41")), None);
    }
}
