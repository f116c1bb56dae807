//! `aws-chunked` bodies: data in chunks, then trailing checksums (S3 "Signature calculations:
//! streaming"). SDKs send them when they compute a checksum while they stream.

/// The payload of an `aws-chunked` body and its trailers (names in lower case).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub payload: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

/// Decodes a whole body; `None` when it breaks off or is not in chunks. Chunk signatures are not
/// checked, like all signatures of the sandbox.
pub(super) fn decode(body: &[u8]) -> Option<Decoded> {
    let mut rest = body;
    let mut payload = Vec::with_capacity(body.len());
    loop {
        let (line, after) = take_line(rest)?;
        let size = line.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = after;
        if size == 0 {
            break;
        }
        payload.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    let mut trailers = Vec::new();
    while let Some((line, after)) = take_line(rest) {
        rest = after;
        if let Some((name, value)) = line.split_once(':') {
            trailers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Some(Decoded { payload, trailers })
}

fn take_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_chunks_and_reads_trailers() {
        let body = b"4\r\nab\r\n\r\n3;chunk-signature=00\r\ncde\r\n0\r\nx-amz-checksum-crc32: AAAA\r\n\r\n";
        let decoded = decode(body).unwrap();
        assert_eq!(decoded.payload, b"ab\r\ncde");
        assert_eq!(
            decoded.trailers,
            [("x-amz-checksum-crc32".to_owned(), "AAAA".to_owned())]
        );
    }

    #[test]
    fn refuses_broken_bodies() {
        for body in [
            &b""[..],
            b"4\r\nab",
            b"zz\r\n",
            b"2\r\nabc\r\n0\r\n\r\n",
            b"ffffffffffffffffff\r\n",
            b"2\r\nab\r\n",
        ] {
            assert_eq!(decode(body), None, "{body:?}");
        }
    }
}
