//! A server of canned answers on loopback, for tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::aws::session::{AwsOptions, AwsShell};
use crate::time::SystemClock;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Never answers.
    Hang,
    /// Closes the connection.
    Cut,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
}

/// The running server.
pub(super) struct Canned {
    pub url: String,
    pub connections: Arc<AtomicUsize>,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Canned {
    /// Serves until the test's runtime ends.
    pub(super) async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let server = Self {
            url: format!("http://{}", listener.local_addr().expect("address")),
            connections: Arc::default(),
            seen: Arc::default(),
        };
        let connections = Arc::clone(&server.connections);
        let seen = Arc::clone(&server.seen);
        let reply = Arc::new(reply);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (reply, seen) = (Arc::clone(&reply), Arc::clone(&seen));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(
                    TokioIo::new(stream),
                    service_fn(move |request| {
                        answer(request, Arc::clone(&reply), Arc::clone(&seen))
                    }),
                ));
            }
        });
        server
    }

    /// A shell with made-up credentials whose every request comes here; an attempt may take one
    /// second.
    pub(super) async fn shell(&self) -> AwsShell {
        self.shell_within(Duration::from_secs(1)).await
    }

    /// The same with another time for an attempt.
    pub(super) async fn shell_within(&self, attempt_timeout: Duration) -> AwsShell {
        let options = AwsOptions {
            region: Some("eu-west-1".parse().expect("Region")),
            endpoint_url: Some(self.url.clone()),
            attempt_timeout,
            ..AwsOptions::new(Arc::new(SystemClock))
        };
        let credentials =
            aws_sdk_sts::config::Credentials::new("AKIDTEST", "secret", None, None, "test");
        AwsShell::connect_with(options, Some(credentials))
            .await
            .expect("shell")
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    reply: Arc<impl Fn(&Seen) -> Reply>,
    all: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts
            .headers
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or_default().to_owned()))
            .collect(),
        body: body
            .collect()
            .await
            .map_err(std::io::Error::other)?
            .to_bytes()
            .to_vec(),
    };
    let said = reply(&seen);
    all.lock().expect("lock").push(seen);
    match said {
        Reply::Answer {
            status,
            headers,
            body,
        } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response
                .body(Full::new(Bytes::from(body)))
                .map_err(std::io::Error::other)
        }
        Reply::Hang => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            Err(std::io::Error::other("hung"))
        }
        Reply::Cut => Err(std::io::Error::other("cut")),
    }
}
