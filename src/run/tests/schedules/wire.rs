//! The wire between collector and sandbox: what the plan says befalls each request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{Call, Schedule, What, rule};
use crate::aws::tests::in_process::{Answered, Answering, End, NoAnswer, Wire};
use crate::collect::random::stable_hash;
use crate::sandbox::wire::{InProcess, Request, Response};
use crate::testkit::VirtualClock;
use crate::time::Clock as _;

/// Lifetime of a session, as the collector asks for it.
const SESSION_MS: i64 = 3_600_000;

/// One run's connection to its organization.
#[derive(Clone)]
pub(super) struct FaultyWire(Arc<Inner>);

struct Inner {
    sandbox: InProcess,
    clock: Arc<VirtualClock>,
    plan: Schedule,
    began: i64,
    /// The organization stands still at this instant.
    frozen_at: Option<i64>,
    asked: Mutex<HashMap<String, u64>>,
    seen: AtomicU64,
    struck: AtomicU64,
}

impl FaultyWire {
    pub fn new(
        sandbox: InProcess,
        clock: &Arc<VirtualClock>,
        plan: &Schedule,
        frozen_at: Option<i64>,
    ) -> Self {
        let mut plan = plan.clone();
        // Every dial concerns somebody, however few accounts there are.
        let accounts = sandbox.world().accounts.len();
        for dial in &mut plan.dials {
            dial.account = dial.account.map(|account| account % accounts);
        }
        Self(Arc::new(Inner {
            sandbox,
            clock: Arc::clone(clock),
            plan,
            began: clock.now().0,
            frozen_at,
            asked: Mutex::default(),
            seen: AtomicU64::new(0),
            struck: AtomicU64::new(0),
        }))
    }

    /// Requests that came this far.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }

    /// Requests that something befell.
    pub fn struck(&self) -> u64 {
        self.0.struck.load(Ordering::Relaxed)
    }
}

impl Wire for FaultyWire {
    fn send(&self, request: hyper::Request<Vec<u8>>) -> Answering {
        let inner = Arc::clone(&self.0);
        inner.seen.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { inner.become_of(request).await })
    }
}

impl Inner {
    async fn become_of(&self, request: hyper::Request<Vec<u8>>) -> Result<Answered, NoAnswer> {
        let now = self.clock.now().0;
        let request = match self.sandbox.understand(request, now) {
            Ok(request) => request,
            Err(refused) => return Ok(whole(refused)),
        };
        let (slow, what) = self.plan.strike(&self.call(&request, now));
        if slow > 0 || what.is_some() {
            self.struck.fetch_add(1, Ordering::Relaxed);
        }
        if slow > 0 {
            self.clock.wait(Duration::from_millis(slow)).await;
        }
        let rule = what.and_then(|what| rule(what, &request));
        let end = match what {
            Some(What::Hang) => {
                std::future::pending::<Infallible>().await;
                End::Whole
            }
            Some(What::NoName) => return Err(NoAnswer("failed to lookup address information")),
            Some(What::Closed) => {
                return Err(NoAnswer("connection closed before message completed"));
            }
            Some(What::Page(status)) => return Ok(page(status)),
            Some(What::Cut) => End::Cut,
            Some(What::Stall) => End::Stalled,
            _ => End::Whole,
        };
        // Sessions are the run's, whenever the organization is looked at.
        let now = self.clock.now().0;
        let world_now = match request.service.as_str() {
            "sts" => now,
            _ => self.frozen_at.unwrap_or(now),
        };
        let answer = if rule.is_none() && pages_of(&request.operation).is_some() {
            self.in_pages(request, world_now, what)
        } else {
            self.sandbox.answer(&request, rule.as_ref(), world_now)
        };
        let answer = match what {
            Some(What::Forget(member)) => without(answer, member),
            _ => answer,
        };
        Ok(Answered {
            end,
            ..whole(answer)
        })
    }

    fn call<'a>(&self, request: &'a Request, now: i64) -> Call<'a> {
        let world = self.sandbox.world();
        let body = String::from_utf8_lossy(&request.body);
        let is_entered = |id: &str| match request.operation.as_str() {
            "AssumeRole" => body.contains(&format!("iam%3A%3A{id}%3Arole")),
            _ => request.caller.account == id,
        };
        let thing = format!(
            "{} {} {} {body}",
            request.operation, request.caller.account, request.path
        );
        let nth = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let count = asked
                .entry(format!("{} {thing}", request.region))
                .or_default();
            *count += 1;
            *count - 1
        };
        let regional = !matches!(request.service.as_str(), "sts" | "iam" | "account");
        Call {
            account: world.accounts.iter().position(|a| is_entered(&a.id)),
            region: (world.regions.iter()).position(|r| regional && *r == request.region),
            operation: &request.operation,
            thing: stable_hash(&thing),
            nth,
            at: now - self.began,
            issued: (request.caller.expires_ms).map(|end| end - SESSION_MS - self.began),
        }
    }

    /// A list in pages as short as the plan wants them. Between two of them the list may change: a page
    /// begins behind the last entry of the one before, and sometimes with it.
    fn in_pages(&self, mut request: Request, now: i64, what: Option<What>) -> Response {
        let Some(member) = pages_of(&request.operation) else {
            return self.sandbox.answer(&request, None, now);
        };
        let mut asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let behind = asked["Marker"].as_str().unwrap_or_default().to_owned();
        let mut all = Vec::new();
        let (mut answer, mut told, mut next) = (Response::empty(0), Value::Null, Value::Null);
        // The sandbox has pages of its own.
        while answer.status == 0 || next.is_string() {
            asked["Marker"] = next;
            request.body = asked.to_string().into_bytes();
            answer = self.sandbox.answer(&request, None, now);
            told = serde_json::from_slice(&answer.body).unwrap_or_default();
            let Some(entries) = told[member].as_array() else {
                return answer;
            };
            all.extend(entries.iter().cloned());
            next = told["Marker"].take();
        }
        if what == Some(What::Swallow) && !all.is_empty() {
            all.remove(all.len() / 2);
        }
        all.sort_by_cached_key(place);
        let from = all.iter().take_while(|e| place(e) <= behind).count();
        let again = usize::from(from > 0 && stable_hash(&behind).is_multiple_of(4));
        let to = all.len().min(from + self.plan.page);
        told[member] = json!(all[from - again..to]);
        let last = all.get(to.saturating_sub(1)).filter(|_| to < all.len());
        told["Marker"] = last.map_or(Value::Null, |last| json!(place(last)));
        answer.body = told.to_string().into_bytes();
        answer
    }
}

/// The member that an operation lists in.
fn pages_of(operation: &str) -> Option<&'static str> {
    match operation {
        "ListClusters" => Some("Clusters"),
        "ListSecurityConfigurations" => Some("SecurityConfigurations"),
        "ListSteps" => Some("Steps"),
        _ => None,
    }
}

/// Where an entry stands in its list, as text that sorts like it: newest first, then by id.
fn place(entry: &Value) -> String {
    let created = ["/Status/Timeline/CreationDateTime", "/CreationDateTime"]
        .into_iter()
        .find_map(|at| entry.pointer(at).and_then(Value::as_f64));
    let newest_first = 9_999_999_999_999 - (created.unwrap_or_default() * 1_000.0) as i64;
    let id = ["Id", "Name"]
        .into_iter()
        .find_map(|at| entry.get(at)?.as_str());
    format!("{newest_first:013} {}", id.unwrap_or_default())
}

fn whole(response: Response) -> Answered {
    Answered {
        status: response.status,
        headers: response.headers,
        body: response.body,
        end: End::Whole,
    }
}

/// What a proxy says.
fn page(status: u16) -> Answered {
    Answered {
        status,
        headers: vec![("content-type".to_owned(), "text/html".to_owned())],
        body: b"<html><body>Please accept the terms of use.</body></html>".to_vec(),
        end: End::Whole,
    }
}

fn without(mut answer: Response, member: &str) -> Response {
    if let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) {
        if let Some(cluster) = told.get_mut("Cluster").and_then(Value::as_object_mut) {
            cluster.remove(member);
        }
        answer.body = told.to_string().into_bytes();
    }
    answer
}
