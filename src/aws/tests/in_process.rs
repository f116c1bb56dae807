//! A shell whose requests never leave the process and whose time is virtual: everything above the
//! connection is the real thing, so that signing, timeouts, parsing and error classes are in the loop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_sts::config::{AsyncSleep, Credentials, SharedHttpClient, Sleep};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use hyper::body::{Body, Bytes, Frame};

use crate::aws::http::{AnswerReader, ClockOffset};
use crate::aws::session::{AwsOptions, AwsShell};
use crate::testkit::VirtualClock;
use crate::time::SystemClock;

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// In the middle, with the connection.
    Cut,
    /// In the middle, and the connection stays open.
    Stalled,
}

/// What came back over the wire.
pub(crate) struct Answered {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub end: End,
}

/// No answer came: the name was not found, nobody listens, the connection was closed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoAnswer(pub &'static str);

pub(crate) type Answering =
    Pin<Box<dyn Future<Output = Result<Answered, NoAnswer>> + Send + 'static>>;

/// Stands where the network is.
pub(crate) trait Wire: Send + Sync + 'static {
    /// What becomes of one request; it may take any of the clock's time.
    fn send(&self, request: hyper::Request<Vec<u8>>) -> Answering;
}

/// A shell with made-up credentials as `connect` makes it. Its settings are read once, on an ordinary
/// runtime; [`AwsShell::over`] then gives it a wire and a clock.
pub(crate) fn settings(key_id: &str, secret: &str) -> AwsShell {
    let options = AwsOptions {
        region: Some("eu-west-1".parse().expect("Region")),
        // Nobody listens there; buckets stand in paths.
        endpoint_url: Some("http://127.0.0.1:1".to_owned()),
        ..AwsOptions::new(Arc::new(SystemClock))
    };
    let credentials = Credentials::new(key_id, secret, None, None, "test");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(AwsShell::connect_with(options, Some(credentials)))
        .expect("a shell")
}

impl AwsShell {
    /// The same settings, with every request on `wire` and every timeout by `clock`.
    pub(crate) fn over(&self, wire: Arc<dyn Wire>, clock: &Arc<VirtualClock>) -> Self {
        let offset = Arc::new(ClockOffset::default());
        let told = Arc::new(Arc::clone(clock));
        let http = InProcessHttp(SharedHttpConnector::new(AnswerReader {
            inner: SharedHttpConnector::new(OverWire(wire)),
            clock: told.clone(),
            offset: Arc::clone(&offset),
        }));
        let base = self
            .base
            .to_builder()
            .http_client(SharedHttpClient::new(http))
            .time_source(crate::aws::session::ClockSource(told.clone()))
            .sleep_impl(VirtualWait(Arc::clone(clock)))
            .build();
        Self {
            base,
            clock: told,
            offset,
            kept: Arc::default(),
            ..self.clone()
        }
    }
}

#[derive(Debug, Clone)]
struct VirtualWait(Arc<VirtualClock>);

impl AsyncSleep for VirtualWait {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.0.wait(duration))
    }
}

#[derive(Debug)]
struct InProcessHttp(SharedHttpConnector);

impl HttpClient for InProcessHttp {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.clone()
    }
}

struct OverWire(Arc<dyn Wire>);

impl fmt::Debug for OverWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OverWire")
    }
}

impl HttpConnector for OverWire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = request.try_into_http1x().map(|request| {
            request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default())
        });
        let sent = request.map(|request| self.0.send(request));
        HttpConnectorFuture::new(async move {
            let sent = sent.map_err(|e| ConnectorError::user(e.into()))?;
            let answered = sent.await.map_err(|e| ConnectorError::io(e.into()))?;
            response(answered).map_err(|e| ConnectorError::other(e, None))
        })
    }
}

fn response(answered: Answered) -> Result<HttpResponse, Box<dyn std::error::Error + Send + Sync>> {
    let mut response = hyper::Response::builder().status(answered.status);
    for (name, value) in &answered.headers {
        response = response.header(name, value);
    }
    let response = response.header("content-length", answered.body.len());
    let body = match answered.end {
        End::Whole => SdkBody::from(answered.body),
        end => {
            let mut data = Bytes::from(answered.body);
            data.truncate(data.len() / 2);
            SdkBody::from_body_1_x(Half {
                data: Some(data),
                end,
            })
        }
    };
    Ok(HttpResponse::try_from(response.body(body)?)?)
}

/// The first half of a body.
struct Half {
    data: Option<Bytes>,
    end: End,
}

impl Body for Half {
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        match self.data.take() {
            Some(data) if !data.is_empty() => Poll::Ready(Some(Ok(Frame::data(data)))),
            _ if self.end == End::Stalled => Poll::Pending,
            _ => Poll::Ready(Some(Err(NoAnswer("the connection was cut")))),
        }
    }
}
