//! The loop that turns connections into answers.
//!
//! One request passes: read, scope, operation, skew, latency, faults, token bucket, service, frame.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::counters::Counters;
use super::dialect::Refusal;
use super::faults::{ActiveFaults, FaultKind, FaultRule, Faults};
use super::operation::{self, Parts};
use super::outgoing::{CutOff, Outgoing, outgoing};
use super::running::Running;
use super::scope::Scope;
use super::token_bucket::{TokenBuckets, rate_of, shared_operation};
use super::{AwsError, Request, Response, encoding, framing, request};
use crate::sandbox::services::{
    account, cloudtrail, emr, iam, kms, logs, organizations, s3, s3_control, sts,
};
use crate::sandbox::{NowMs, World};

/// Largest request body, in bytes. AWS allows a single PUT of 5 GiB; the sandbox holds it in memory.
const MAX_BODY_BYTES: usize = 1 << 30;

/// How the sandbox is served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Added to answers, milliseconds on average: to each up to a quarter more or less. Were it the same for
    /// all, answers that once came together would come together for ever, as on no network.
    pub latency_ms: u64,
    pub faults: Faults,
    /// Enforce AWS's default request rates.
    pub token_buckets: bool,
}

/// By how much timers fire late on average: they tick in whole milliseconds, and round up.
const TIMERS_ARE_LATE: Duration = Duration::from_millis(1);

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            latency_ms: 0,
            faults: Faults::default(),
            token_buckets: false,
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub world: Arc<World>,
    now: NowMs,
    latency: Duration,
    token_buckets: Option<TokenBuckets>,
    pub faults: RwLock<Arc<ActiveFaults>>,
    pub counters: Counters,
    pub kms: Arc<kms::KmsState>,
    pub s3: s3::S3State,
    requests: AtomicU64,
    delayed: AtomicU64,
}

impl Shared {
    pub fn new(world: Arc<World>, now: NowMs, options: ServeOptions) -> Self {
        Self {
            world,
            now,
            latency: Duration::from_millis(options.latency_ms),
            token_buckets: options.token_buckets.then(TokenBuckets::default),
            faults: RwLock::new(Arc::new(ActiveFaults::new(options.faults))),
            counters: Counters::default(),
            kms: Arc::default(),
            s3: s3::S3State::default(),
            requests: AtomicU64::new(0),
            delayed: AtomicU64::new(0),
        }
    }

    pub fn now_ms(&self) -> i64 {
        (self.now)()
    }

    fn next_latency(&self) -> Option<Duration> {
        let counter = self.delayed.fetch_add(1, Ordering::Relaxed);
        // Between 0 and 1.
        let spread = framing::mix(counter) as f64 / u64::MAX as f64;
        (!self.latency.is_zero()).then(|| self.latency.mul_f64(0.75 + spread / 2.0))
    }
}

/// Serves `world` on `options.listen` until the [`Running`] is stopped or dropped.
///
/// Refuses an address that is not loopback: the sandbox accepts any signature.
pub async fn start(world: Arc<World>, now: NowMs, options: ServeOptions) -> io::Result<Running> {
    if !options.listen.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "the sandbox checks no signatures and so listens on loopback only: {} is not a loopback address (use 127.0.0.1 or [::1])",
                options.listen.ip()
            ),
        ));
    }
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(world, now, options));
    let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
    Ok(Running::new(address, shared, accepting))
}

/// Accepts until aborted. The connections live in this task's set, so that they end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: wait for connections to end.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        // Only a latency optimisation: a socket that refuses it still works.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service =
                hyper::service::service_fn(move |request| serve(Arc::clone(&shared), request));
            let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
            builder.http1().keep_alive(true);
            // An error here is a client that left or a fault that cut: neither is ours to report.
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve(
    shared: Arc<Shared>,
    incoming: hyper::Request<Incoming>,
) -> Result<hyper::Response<Outgoing>, CutOff> {
    let _in_flight = shared.counters.enter();
    let is_head = incoming.method() == hyper::Method::HEAD;
    let (head, body) = incoming.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    if let Some(latency) = shared.next_latency() {
        tokio::time::sleep(latency.saturating_sub(TIMERS_ARE_LATE)).await;
    }
    let now_ms = shared.now_ms();
    let body = match body {
        Ok(body) => Some(Vec::from(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => None,
        // The client went away in the middle of its body: nobody is left to answer.
        Err(_) => return Err(CutOff),
    };
    let (response, cut) = match understand(&shared, &head, body, now_ms) {
        Ok(request) => respond(&shared, &request, now_ms).await?,
        Err(refused) => (refused, false),
    };
    Ok(outgoing(response, is_head, cut))
}

/// Who asks for what, or the answer where that is refused. No body: it was too large.
pub(super) fn understand(
    shared: &Shared,
    head: &hyper::http::request::Parts,
    body: Option<Vec<u8>>,
    now_ms: i64,
) -> Result<Request, Response> {
    let counter = shared.requests.fetch_add(1, Ordering::Relaxed);
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let query = encoding::parse_pairs(head.uri.query().unwrap_or_default());
    let scope = match &query {
        Some(query) => Scope::parse(&headers, query),
        None => Scope::parse(&headers, &[]),
    };
    // Before the scope is known the shape of the refusal follows what the request looks like.
    let service = match &scope {
        Ok(scope) => operation::service(&scope.service, head.uri.path()).to_owned(),
        Err(_) => guess_service(&headers).to_owned(),
    };
    let request_id = framing::request_id(counter, &service);
    let path = encoding::percent_decode(head.uri.path(), false)
        .map(|path| with_bucket_of_host(path, &headers));
    let refuse = |refusal: Refusal| {
        let response = framing::error_response(
            &refusal.error(&service),
            &service,
            head.uri.path(),
            &request_id,
        );
        framing::finish(response, &service, &request_id, now_ms)
    };

    let scope = scope.map_err(refuse)?;
    let (Some(query), Some(path)) = (query, path) else {
        return Err(refuse(Refusal::BadRequest(
            "Couldn't parse the specified URI.",
        )));
    };
    let Some(body) = body else {
        return Err(refuse(Refusal::TooLarge));
    };
    let caller = scope
        .caller(&shared.world, now_ms)
        .and_then(|caller| scope.check_skew(now_ms).map(|()| caller))
        .map_err(refuse)?;
    let parts = Parts {
        method: head.method.as_str(),
        path: &path,
        query: &query,
        headers: &headers,
        body: &body,
    };
    let operation = operation::name(&service, &parts).map_err(refuse)?;
    Ok(Request {
        caller,
        region: scope.region,
        service,
        operation,
        method: head.method.as_str().to_owned(),
        path,
        query,
        headers,
        body,
        request_id,
    })
}

/// Faults, rates and then the service itself, for a request that is understood.
async fn respond(
    shared: &Shared,
    request: &Request,
    now_ms: i64,
) -> Result<(Response, bool), CutOff> {
    let faults = Arc::clone(&shared.faults.read().unwrap_or_else(PoisonError::into_inner));
    let verdict = faults.decide(request);
    let kind = verdict.rule.map(|rule| rule.kind);
    let refusal = kind.and_then(|kind| refusal(kind, request));
    let refusal =
        refusal.or_else(|| over_rate(shared, request, now_ms).then_some(Refusal::Throttled));
    let key = Counters::key(
        &request.caller.account,
        &request.region,
        &request.service,
        &request.operation,
    );
    shared
        .counters
        .record(&key, refusal == Some(Refusal::Throttled));
    // Counted when it arrives, so that a test sees a slow call while it is under way.
    if verdict.slow_ms > 0 {
        tokio::time::sleep(Duration::from_millis(verdict.slow_ms)).await;
    }
    if kind == Some(FaultKind::Hang) {
        // Ends when the client closes the connection or the sandbox stops.
        std::future::pending::<Infallible>().await;
    }
    match kind {
        Some(FaultKind::LostRequest) => return Err(CutOff),
        Some(FaultKind::Overtake) => {
            // Whoever was there before them keeps the name.
            let _ = dispatch(shared, now_ms, &s3::of_another_writer(request));
        }
        _ => {}
    }
    let mut response = carry_out(shared, request, refusal, verdict.rule, now_ms);
    if kind == Some(FaultKind::LostAcknowledgement) {
        return Err(CutOff);
    }
    match kind {
        Some(FaultKind::Flip) => {
            let middle = response.body.len() / 2;
            if let Some(byte) = response.body.get_mut(middle) {
                *byte ^= 1;
            }
        }
        Some(FaultKind::WrongChecksum) => response = s3::with_other_checksum(response),
        _ => {}
    }
    let cut = kind == Some(FaultKind::Cut);
    if cut && response.body.is_empty() {
        return Err(CutOff);
    }
    Ok((
        framing::finish(response, &request.service, &request.request_id, now_ms),
        cut,
    ))
}

/// The error that a fault of this kind is answered with, if it is one that is answered with an error.
pub(super) fn refusal(kind: FaultKind, request: &Request) -> Option<Refusal> {
    match kind {
        FaultKind::Throttle => Some(Refusal::Throttled),
        FaultKind::Deny => Some(Refusal::Denied {
            account: caller_arn(request),
            action: request.operation.clone(),
        }),
        FaultKind::ServerError => Some(Refusal::ServerError),
        FaultKind::Refuse(status) => Some(Refusal::Other { status }),
        _ => None,
    }
}

/// What the service says, or the refusal, in the words of `rule` where it has any.
pub(super) fn carry_out(
    shared: &Shared,
    request: &Request,
    refusal: Option<Refusal>,
    rule: Option<&FaultRule>,
    now_ms: i64,
) -> Response {
    let result = match refusal {
        Some(refusal) => Err(reworded(refusal.error(&request.service), rule)),
        None => dispatch(shared, now_ms, request),
    };
    result.unwrap_or_else(|error| {
        framing::error_response(&error, &request.service, &request.path, &request.request_id)
    })
}

fn dispatch(shared: &Shared, now_ms: i64, request: &Request) -> Result<Response, AwsError> {
    let world = &shared.world;
    match request.service.as_str() {
        "organizations" => organizations::handle(world, now_ms, request),
        "sts" => sts::handle(world, now_ms, request),
        "account" => account::handle(world, now_ms, request),
        "cloudtrail" => cloudtrail::handle(world, now_ms, request),
        "elasticmapreduce" => emr::handle(world, now_ms, request),
        "iam" => iam::handle(world, now_ms, request),
        "kms" => kms::handle(world, &shared.kms, now_ms, request),
        "logs" => logs::handle(world, now_ms, request),
        "s3" => s3::handle(world, &shared.s3, now_ms, request),
        operation::S3_CONTROL => s3_control::handle(world, now_ms, request),
        other => Err(Refusal::UnknownOperation(request.operation.clone()).error(other)),
    }
}

fn over_rate(shared: &Shared, request: &Request, now_ms: i64) -> bool {
    let Some(buckets) = &shared.token_buckets else {
        return false;
    };
    let Some(rate) = rate_of(&request.service, &request.operation) else {
        return false;
    };
    let operation = shared_operation(&request.service, &request.operation);
    let key = Counters::key(
        &request.caller.account,
        &request.region,
        &request.service,
        operation,
    );
    !buckets.take(&key, rate, now_ms)
}

/// A fault rule may word its error itself.
fn reworded(mut error: AwsError, rule: Option<&FaultRule>) -> AwsError {
    if let Some(code) = rule.and_then(|rule| rule.code.clone()) {
        error.code = code;
    }
    if let Some(message) = rule.and_then(|rule| rule.message.clone()) {
        error.message = message;
    }
    error
}

fn caller_arn(request: &Request) -> String {
    let caller = &request.caller;
    match (&caller.role, &caller.session) {
        (Some(role), Some(session)) => format!(
            "arn:aws:sts::{}:assumed-role/{role}/{session}",
            caller.account
        ),
        _ => format!("arn:aws:iam::{}:user/sandbox", caller.account),
    }
}

fn guess_service(headers: &[(String, String)]) -> &'static str {
    let target = request::find(headers, "x-amz-target").unwrap_or_default();
    let content_type = request::find(headers, "content-type").unwrap_or_default();
    match target.split('.').next() {
        Some("ElasticMapReduce") => "elasticmapreduce",
        Some("AWSOrganizationsV20161128") => "organizations",
        Some("Logs_20140328") => "logs",
        _ if target.contains("CloudTrail_20131101.") => "cloudtrail",
        Some("TrentService") => "kms",
        _ if content_type.starts_with("application/x-www-form-urlencoded") => "sts",
        _ if content_type.starts_with("application/json") => "account",
        _ => "s3",
    }
}

/// Virtual-host addressing: `bucket.localhost` puts the bucket into the host name. S3 Control puts the
/// account there, which is also in a header.
fn with_bucket_of_host(path: String, headers: &[(String, String)]) -> String {
    let host = request::find(headers, "host").unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let names_bucket = !path.starts_with(s3_control::PATH);
    match host.strip_suffix(".localhost").filter(|_| names_bucket) {
        Some(bucket) => format!("/{bucket}{path}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::sandbox::Options;
    use crate::sandbox::wire::Caller;

    const NOW_MS: i64 = 784_111_777_000;

    async fn started(faults: Faults) -> Running {
        let world = Arc::new(World::generate(&Options::default()));
        let options = ServeOptions {
            faults,
            ..ServeOptions::default()
        };
        start(world, Arc::new(|| NOW_MS), options).await.unwrap()
    }

    async fn exchange(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }

    #[tokio::test]
    async fn one_connection_serves_many_requests_until_the_stop() {
        let running = started(Faults::default()).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        for _ in 0..3 {
            let answer = exchange(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
            assert!(
                answer.contains("date: Sun, 06 Nov 1994 08:49:37 GMT"),
                "{answer}"
            );
            assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
        }
        assert_eq!(
            (running.connections_opened(), running.in_flight_max()),
            (1, 1)
        );
        let address = running.address;
        running.stop().await;
        assert!(
            TcpStream::connect(address).await.is_err(),
            "still listening"
        );
        assert_eq!(
            stream.read(&mut [0; 16]).await.unwrap_or(0),
            0,
            "still connected"
        );
    }

    #[tokio::test]
    async fn only_loopback_is_served() {
        let world = Arc::new(World::generate(&Options::default()));
        let listen = "0.0.0.0:0".parse().unwrap();
        let options = ServeOptions {
            listen,
            ..ServeOptions::default()
        };
        let error = start(world, Arc::new(|| NOW_MS), options)
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("loopback"), "{error}");
    }

    fn head_bucket(running: &Running) -> Request {
        Request {
            caller: Caller {
                account: "111122223333".into(),
                role: None,
                session: None,
                expires_ms: None,
            },
            region: "eu-west-1".into(),
            service: "s3".into(),
            operation: "HeadBucket".into(),
            method: "HEAD".into(),
            path: format!("/no-such-bucket-{}", running.address.port()),
            query: vec![],
            headers: vec![],
            body: vec![],
            request_id: "id".into(),
        }
    }

    async fn status_under(kind: FaultKind) -> Option<(u16, bool)> {
        let running = started(Faults {
            rules: vec![FaultRule::every(kind)],
            seed: 0,
        })
        .await;
        let answer = respond(running.shared(), &head_bucket(&running), NOW_MS).await;
        let throttled = running.calls()[0].throttled;
        assert_eq!(throttled == 1, kind == FaultKind::Throttle);
        answer.ok().map(|(response, cut)| (response.status, cut))
    }

    #[tokio::test]
    async fn each_fault_shows_its_own_way() {
        assert_eq!(status_under(FaultKind::Throttle).await, Some((503, false)));
        assert_eq!(status_under(FaultKind::Deny).await, Some((403, false)));
        assert_eq!(
            status_under(FaultKind::ServerError).await,
            Some((500, false))
        );
        let refused = status_under(FaultKind::Refuse(409)).await;
        assert_eq!(refused, Some((409, false)));
        assert_eq!(status_under(FaultKind::LostRequest).await, None);
        for harmless in [
            FaultKind::Flip,
            FaultKind::WrongChecksum,
            FaultKind::Overtake,
        ] {
            assert_eq!(status_under(harmless).await, Some((404, false)));
        }
        assert_eq!(status_under(FaultKind::Slow(1)).await, Some((404, false)));
        assert_eq!(status_under(FaultKind::Cut).await, Some((404, true)));
        assert_eq!(status_under(FaultKind::LostAcknowledgement).await, None);
        let hung = status_under(FaultKind::Hang);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), hung)
                .await
                .is_err()
        );
    }
}
