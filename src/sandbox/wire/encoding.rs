//! Percent-encoding of paths, queries and forms.

/// Decodes `%XX`; `+` becomes a space when `plus_is_space` (forms and queries, not paths).
/// `None` for a broken escape or bytes that are not UTF-8.
pub fn percent_decode(text: &str, plus_is_space: bool) -> Option<String> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// Splits `a=1&b` into decoded pairs, in order; a name without `=` has an empty value.
pub fn parse_pairs(text: &str) -> Option<Vec<(String, String)>> {
    text.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((percent_decode(name, true)?, percent_decode(value, true)?))
        })
        .collect()
}

/// Encodes as S3 does for `encoding-type=url`: form encoding (a space is `+`) that leaves `/` and
/// `*` alone.
pub fn s3_url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'*' => {
                out.push(byte as char)
            }
            b' ' => out.push('+'),
            other => {
                out.push('%');
                for nibble in [other >> 4, other & 15] {
                    out.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
                }
            }
        }
    }
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Text content of an XML element. Characters that XML 1.0 cannot carry are written as character
/// references, as S3 does, so that a hostile key cannot break out of its element.
pub fn xml_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => {
                out.push_str(&format!("&#x{:x};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_paths_and_forms_differently() {
        assert_eq!(
            percent_decode("a%20b+c%2B", false).as_deref(),
            Some("a b+c+")
        );
        assert_eq!(
            percent_decode("a%20b+c%2B", true).as_deref(),
            Some("a b c+")
        );
    }

    #[test]
    fn refuses_broken_escapes_and_bytes() {
        for text in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert_eq!(percent_decode(text, false), None, "{text}");
        }
    }

    #[test]
    fn pairs_keep_order_and_empty_values() {
        let pairs = parse_pairs("versions&prefix=a%2Fb&&x=1=2").unwrap();
        let expected = [("versions", ""), ("prefix", "a/b"), ("x", "1=2")];
        assert!(
            pairs
                .iter()
                .map(|(a, b)| (a.as_str(), b.as_str()))
                .eq(expected)
        );
    }

    #[test]
    fn xml_text_cannot_break_out() {
        assert_eq!(
            xml_escape("</Key>&\r\u{1}é"),
            "&lt;/Key&gt;&amp;&#xd;&#x1;é"
        );
    }

    #[test]
    fn url_encoding_follows_s3() {
        assert_eq!(s3_url_encode("a b+ü/*~"), "a+b%2B%C3%BC/*%7E");
    }
}
