//! A session in one account that renews itself, and the account's token buckets.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::collect::api::{ApiError, AssumeRole, ErrorClass, Member, Page};
use crate::collect::attempt::{Budget, CallError, Pager, Place};
use crate::collect::bucket::Buckets;
use crate::collect::engine::Context;
use crate::collect::operation::Operation;
use crate::model::ids::{AccountId, Region};

/// A job under a role chains, and chaining caps at one hour
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>).
const SESSION_SECONDS: i32 = 3_600;
/// A session this close to its end is renewed before it is used.
const RENEW_BEFORE_MS: i64 = 5 * 60_000;

/// One account's session.
pub struct Session {
    context: Context,
    account: AccountId,
    role: String,
    buckets: Buckets,
    member: Mutex<Arc<dyn Member>>,
}

impl Session {
    /// Assumes the reader role, or takes the caller's own credentials for a single account.
    pub async fn open(
        context: &Context,
        account: &AccountId,
        budget: &Budget,
    ) -> Result<Self, CallError> {
        let role = &context.options.role_name;
        Self::open_as(context, account, role, budget).await
    }

    /// The same with another role. The caller's own credentials stay what they are.
    pub async fn open_as(
        context: &Context,
        account: &AccountId,
        role: &str,
        budget: &Budget,
    ) -> Result<Self, CallError> {
        let member = assume(context, account, role, budget).await?;
        Ok(Self {
            context: context.clone(),
            account: account.clone(),
            role: role.to_owned(),
            buckets: context.attempts.buckets(account),
            member: Mutex::new(member),
        })
    }

    /// One call, with a session that still lives. `once` may be called several times.
    pub async fn call<T, F, Fut>(
        &self,
        budget: &Budget,
        region: &Region,
        operation: Operation,
        once: F,
    ) -> Result<T, CallError>
    where
        F: Fn(Arc<dyn Member>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, ApiError>> + Send,
    {
        let place = Place {
            account: Some(&self.account),
            region,
            operation,
        };
        let attempts = &self.context.attempts;
        let member = self.member(budget, None).await?;
        let first = attempts
            .call(budget, &self.buckets, place, || once(member.clone()))
            .await;
        match first {
            Err(error) if error.class() == Some(ErrorClass::Expired) => {
                let member = self.member(budget, Some(&member)).await?;
                budget.count_retry();
                attempts
                    .call(budget, &self.buckets, place, || once(member.clone()))
                    .await
            }
            other => other,
        }
    }

    /// A whole list, page by page.
    pub async fn pages<T, F, Fut>(
        &self,
        budget: &Budget,
        region: &Region,
        operation: Operation,
        page: F,
        mut each: impl FnMut(Vec<T>) + Send,
    ) -> Result<(), CallError>
    where
        T: Send,
        F: Fn(Arc<dyn Member>, Option<String>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<Page<T>, ApiError>> + Send,
    {
        let whole = |items| {
            each(items);
            false
        };
        self.pages_until(budget, region, operation, page, whole)
            .await
    }

    /// A list, page by page, until `enough` says so of a page.
    pub async fn pages_until<T, F, Fut>(
        &self,
        budget: &Budget,
        region: &Region,
        operation: Operation,
        page: F,
        mut enough: impl FnMut(Vec<T>) -> bool + Send,
    ) -> Result<(), CallError>
    where
        T: Send,
        F: Fn(Arc<dyn Member>, Option<String>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<Page<T>, ApiError>> + Send,
    {
        let mut pager = Pager::new(Place {
            account: Some(&self.account),
            region,
            operation,
        });
        let mut next = None;
        loop {
            let answer = self
                .call(budget, region, operation, |m| page(m, next.clone()))
                .await?;
            if enough(answer.items) {
                return Ok(());
            }
            next = pager.advance(answer.next)?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// The present session; a new one if it is about to end, or is the one that AWS calls expired.
    async fn member(
        &self,
        budget: &Budget,
        expired: Option<&Arc<dyn Member>>,
    ) -> Result<Arc<dyn Member>, CallError> {
        let mut member = self.member.lock().await;
        let now = self.context.attempts.clock().now();
        let ending = member
            .expires_at()
            .is_some_and(|end| end.0.saturating_sub(now.0) < RENEW_BEFORE_MS);
        if ending || expired.is_some_and(|e| Arc::ptr_eq(e, &member)) {
            *member = assume(&self.context, &self.account, &self.role, budget).await?;
        }
        Ok(member.clone())
    }
}

async fn assume(
    context: &Context,
    account: &AccountId,
    role_name: &str,
    budget: &Budget,
) -> Result<Arc<dyn Member>, CallError> {
    let Context {
        cloud,
        attempts,
        options,
        ..
    } = context;
    if options.single_account {
        return Ok(cloud.own_session(account).into());
    }
    let role = &AssumeRole {
        account_id: account.clone(),
        role_name: role_name.to_owned(),
        session_name: format!("keyproof-{}", options.run_id),
        external_id: options.external_id.clone(),
        duration_seconds: SESSION_SECONDS,
    };
    let member = attempts
        .own(budget, Operation::AssumeRole, || cloud.assume(role))
        .await?;
    Ok(member.into())
}
