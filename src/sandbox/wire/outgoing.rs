//! An answer as hyper sends it, whole or cut.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};

use super::Response;

/// Ends the connection without an answer, when returned to hyper as a service's error.
#[derive(Debug, thiserror::Error)]
#[error("connection cut on purpose")]
pub(super) struct CutOff;

/// Prepares an answer; a HEAD gets no body, and a cut one announces its whole length and ends early.
pub(super) fn outgoing(response: Response, is_head: bool, cut: bool) -> hyper::Response<Outgoing> {
    let body = if is_head { Vec::new() } else { response.body };
    let full_length = body.len();
    let mut data = Bytes::from(body);
    if cut {
        data.truncate(full_length / 2);
    }
    let mut out = hyper::Response::new(Outgoing {
        data: Some(data),
        cut: cut.then_some(Cut::Flushing),
    });
    // A service that states a status outside of HTTP's range is a bug that must not look like an answer.
    *out.status_mut() = hyper::StatusCode::from_u16(response.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = out.headers_mut();
    for (name, value) in response.headers {
        // Values may hold what a client sent (metadata, keys): what HTTP cannot carry is left out.
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            headers.append(name, value);
        }
    }
    if cut {
        headers.insert(
            hyper::header::CONTENT_LENGTH,
            HeaderValue::from(full_length),
        );
    }
    out
}

/// A body in one piece that, when `cut`, ends in an error before it is complete.
pub(super) struct Outgoing {
    data: Option<Bytes>,
    cut: Option<Cut>,
}

/// How far a cut has come. Between the data and the error the body pauses for one poll, so that
/// hyper writes what it has: the client is to see the beginning of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Flushing,
    Due,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.cut {
            None => Poll::Ready(None),
            Some(Cut::Flushing) => {
                self.cut = Some(Cut::Due);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Cut::Due) => Poll::Ready(Some(Err(CutOff))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.cut {
            Some(_) => SizeHint::default(),
            None => SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64)),
        }
    }
}
