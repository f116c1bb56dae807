//! Names of objects as S3 writes them where any byte may stand: in CSV reports, and in lists that are asked for so
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html>).

/// Undoes the URL encoding of a key. What is no `%` and two digits stands for itself.
pub fn decode(given: &[u8], into: &mut Vec<u8>) {
    into.clear();
    let digit = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let mut at = 0;
    while let Some(byte) = given.get(at) {
        let decoded = match byte {
            b'+' => b' ',
            b'%' => match (digit(given.get(at + 1)), digit(given.get(at + 2))) {
                (Some(high), Some(low)) => {
                    at += 2;
                    (high * 16 + low) as u8
                }
                _ => b'%',
            },
            other => *other,
        };
        into.push(decoded);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_and_broken_escapes_stand_for_themselves() {
        for (given, expected) in [
            ("emr/j-1/a%20b", &b"emr/j-1/a b"[..]),
            ("a+b%2Bc", b"a b+c"),
            ("%C3%A4", "ä".as_bytes()),
            ("emr%2Fx", b"emr/x"),
            ("100%", b"100%"),
            ("%zz%4", b"%zz%4"),
            ("%ff", b"\xff"),
            ("", b""),
        ] {
            let mut into = b"left over".to_vec();
            decode(given.as_bytes(), &mut into);
            assert_eq!(into, expected, "{given}");
        }
    }
}
