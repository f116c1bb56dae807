//! The sandbox without a socket: whoever holds it hands over requests, decides what befalls each, and
//! says what time it is. Nothing here waits.

use std::sync::Arc;

use super::framing;
use super::server::{ServeOptions, Shared, carry_out, refusal, understand};
use super::{FaultRule, Request, Response};
use crate::sandbox::World;

/// An organization that answers in the caller's own process.
pub struct InProcess(Shared);

impl InProcess {
    /// Answers for `world`, without latency, faults and token buckets of its own.
    pub fn new(world: Arc<World>) -> Self {
        // Every call says its own time.
        let now = Arc::new(|| 0);
        Self(Shared::new(world, now, ServeOptions::default()))
    }

    /// The organization that answers.
    pub fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    /// Who asks for what at `now_ms`, or the answer where that is refused: a token that ran out, a
    /// clock that is off.
    pub fn understand(
        &self,
        request: hyper::Request<Vec<u8>>,
        now_ms: i64,
    ) -> Result<Request, Response> {
        let (head, body) = request.into_parts();
        understand(&self.0, &head, Some(body), now_ms)
    }

    /// The answer at `now_ms`: the service's, or the error that `rule` gives. Faults that are no
    /// answers (a connection that hangs or is cut) are up to the caller.
    pub fn answer(&self, request: &Request, rule: Option<&FaultRule>, now_ms: i64) -> Response {
        let refusal = rule.and_then(|rule| refusal(rule.kind, request));
        let response = carry_out(&self.0, request, refusal, rule, now_ms);
        framing::finish(response, &request.service, &request.request_id, now_ms)
    }
}
