//! One HTTP client for every SDK client: hyper 1 and rustls with aws-lc, one connection pool, answers
//! of bounded size.
//!
//! SDK clients that are left to themselves open a pool each, and build a throw-away connector at
//! construction to validate it (60 µs, 280 KB). [`SharedHttp`] forwards `http_connector` and keeps
//! the trait's default validation, which does nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_sts::primitives::{DateTime, DateTimeFormat};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http_body_util::Limited;

use crate::time::Clock;

/// Longest answer that is read, in bytes. The longest that AWS gives, pages of events or of identities
/// with their policies, are a few megabytes.
pub(super) const LONGEST_ANSWER: usize = 32 << 20;

/// Local clock minus the `Date` of the last answer.
#[derive(Debug)]
pub(super) struct ClockOffset(AtomicI64);

/// No answer has been seen yet.
const UNSEEN: i64 = i64::MIN;

impl Default for ClockOffset {
    fn default() -> Self {
        Self(AtomicI64::new(UNSEEN))
    }
}

impl ClockOffset {
    /// Milliseconds; `Date` has whole seconds, so up to one second of it is rounding.
    pub(super) fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ms| *ms != UNSEEN)
    }

    fn record(&self, local_ms: i64, date: &str) {
        let server_ms = DateTime::from_str(date, DateTimeFormat::HttpDate)
            .ok()
            .and_then(|at| at.to_millis().ok());
        if let Some(server_ms) = server_ms {
            self.0
                .store(local_ms.saturating_sub(server_ms), Ordering::Relaxed);
        }
    }
}

type Timeouts = (Option<Duration>, Option<Duration>);

/// The shared client: one connector, hence one pool, for each pair of connect and read timeout.
pub(super) struct SharedHttp {
    proxy: ProxyConfig,
    connectors: Mutex<HashMap<Timeouts, SharedHttpConnector>>,
    clock: Arc<dyn Clock>,
    offset: Arc<ClockOffset>,
}

impl SharedHttp {
    /// `use_proxy`: whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count.
    pub(super) fn new(clock: Arc<dyn Clock>, offset: Arc<ClockOffset>, use_proxy: bool) -> Self {
        Self {
            proxy: if use_proxy {
                ProxyConfig::from_env()
            } else {
                ProxyConfig::disabled()
            },
            connectors: Mutex::default(),
            clock,
            offset,
        }
    }
}

impl std::fmt::Debug for SharedHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedHttp")
    }
}

impl HttpClient for SharedHttp {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeouts = (settings.connect_timeout(), settings.read_timeout());
        self.connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(timeouts)
            .or_insert_with(|| {
                let mut builder = Connector::builder()
                    .connector_settings(settings.clone())
                    .proxy_config(self.proxy.clone());
                builder.set_sleep_impl(components.sleep_impl());
                let inner = builder
                    .tls_provider(tls::Provider::Rustls(
                        tls::rustls_provider::CryptoMode::AwsLc,
                    ))
                    .build();
                SharedHttpConnector::new(AnswerReader {
                    inner: SharedHttpConnector::new(inner),
                    clock: Arc::clone(&self.clock),
                    offset: Arc::clone(&self.offset),
                })
            })
            .clone()
    }
}

/// Notes the `Date` of every answer on its way through, and bounds its body.
pub(super) struct AnswerReader {
    pub inner: SharedHttpConnector,
    pub clock: Arc<dyn Clock>,
    pub offset: Arc<ClockOffset>,
}

impl std::fmt::Debug for AnswerReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnswerReader")
    }
}

impl HttpConnector for AnswerReader {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Content of objects is bounded by whoever asked for it, piece by piece. Clients name the
        // operation in the query.
        let is_content = request.uri().contains("x-id=GetObject");
        let answer = self.inner.call(request);
        let clock = Arc::clone(&self.clock);
        let offset = Arc::clone(&self.offset);
        HttpConnectorFuture::new(async move {
            let response = answer.await?;
            if let Some(date) = response.headers().get("date") {
                offset.record(clock.now().0, date);
            }
            if is_content && response.status().is_success() {
                return Ok(response);
            }
            Ok(bounded(response))
        })
    }
}

/// Reading beyond the longest answer is an error, so that no answer can fill the memory.
fn bounded(response: HttpResponse) -> HttpResponse {
    response.map(|body| SdkBody::from_body_1_x(Limited::new(body, LONGEST_ANSWER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_local_minus_date() {
        let offset = ClockOffset::default();
        assert_eq!(offset.get(), None);
        offset.record(1_795_485_603_250, "nonsense");
        assert_eq!(offset.get(), None);
        offset.record(1_795_485_603_250, "Tue, 24 Nov 2026 02:00:03 GMT");
        assert_eq!(offset.get(), Some(250));
        offset.record(0, "Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(offset.get(), Some(-60_000));
    }
}
