//! IAM policies: read, evaluated in three values, and asked who may do something. Pure; it knows no
//! cluster and makes no call.
//!
//! ```text
//! text -> Policy ─┐
//! ListGrants -> Grant ─┼─ Layers ─┐
//!                      Caller, action, key, Context ─┴─> evaluate -> Decision
//!                                                      who_can  -> Holders
//! ```
//!
//! The answer is `allowed` or `denied` only where it is proven. A condition key that is not known
//! makes it `conditional` and is named; a document that was not read, or a part of one that is not
//! understood, makes it `unknown`. What AWS leaves open (a principal only half listed by
//! `NotPrincipal` with `Deny`, several values under a plain operator, a session whose name is not
//! told) is unknown in an open context and refused in a closed one.
//!
//! Not modelled: VPC endpoint policies, and the state of the key.

mod caller;
mod context;
mod document;
mod evaluate;
mod evidence;
mod grant;
mod json;
mod operator;
mod out_of_question;
mod pattern;
mod question;
mod truth;
mod who_can;

#[cfg(test)]
mod tests;

pub use caller::{Caller, CallerError, Grantee};
pub use context::{Context, Value};
pub use document::{
    Clause, Condition, Effect, Policy, PolicyError, PrincipalType, Principals, Statement, Unread,
    Version, Why,
};
pub use evaluate::{
    Decider, Decision, Document, Layers, Outcome, Request, Resource, ResourceKind, evaluate,
};
pub use grant::{Constraint, Grant};
pub use json::Json;
pub use operator::Operator;
pub use out_of_question::is_out_of_question;
pub use question::{Question, QuestionError, id_of};
pub use truth::{Need, Truth};
pub use who_can::{Holder, HolderKind, who_can};
