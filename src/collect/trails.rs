//! The trails of an account: whether events reach a bucket, which is evidence for whoever counts them
//! there.

use crate::collect::api::{ListedTrail, TrailStatus};
use crate::collect::attempt::{Budget, CallError};
use crate::collect::coverage::{CellEnd, Fault};
use crate::collect::operation::Operation;
use crate::collect::scope::text;
use crate::collect::session::Session;
use crate::collect::shared::Run;
use crate::model::datasets::{Account, Coverage, Trail};
use crate::model::ids::Region;
use crate::model::words::{CellOutcome, Source};

/// Rows and cell of an account's trails; `None` where the run does not look. One Region shows the
/// trails of all Regions and of the organization; `regions` are tried in turn, since a policy may
/// fence some.
pub(super) async fn look(
    run: &Run,
    account: &Account,
    session: &Session,
    regions: &[Region],
) -> Option<(Vec<Trail>, Coverage)> {
    if run.options().launch_days == 0 {
        return None;
    }
    let budget = run.budget();
    let (rows, end) = read(run, account, session, regions, &budget).await;
    let cell = run.cell(account, &Region::global(), Source::Trails, end, &budget);
    Some((rows, cell))
}

async fn read(
    run: &Run,
    account: &Account,
    session: &Session,
    regions: &[Region],
    budget: &Budget,
) -> (Vec<Trail>, CellEnd) {
    let mut end = CellEnd::plain(CellOutcome::NotAttempted);
    for region in regions {
        if let Err(error) = run.may_begin() {
            return (vec![], CellEnd::error(&error));
        }
        let listed = session
            .call(budget, region, Operation::DescribeTrails, |m| async move {
                m.trails(region).await
            })
            .await;
        match listed {
            Ok(listed) => return rows(account, session, listed, budget).await,
            Err(error) => {
                let elsewhere = matches!(
                    error.outcome(),
                    CellOutcome::DeniedScp | CellOutcome::Failed
                );
                end = CellEnd::error(&error);
                if !elsewhere {
                    break;
                }
            }
        }
    }
    (vec![], end)
}

async fn rows(
    account: &Account,
    session: &Session,
    listed: Vec<ListedTrail>,
    budget: &Budget,
) -> (Vec<Trail>, CellEnd) {
    let mut rows = Vec::new();
    let mut failure: Option<CallError> = None;
    for trail in listed {
        let mut row = row(account, &trail);
        if row.is_own() {
            let told = details(session, &trail, budget).await;
            match told {
                Ok((status, writes)) => add(&mut row, status, writes),
                Err(error) => failure = Some(error),
            }
        }
        rows.push(row);
    }
    let end = match failure {
        None => CellEnd::read(rows.len()),
        Some(error) => CellEnd {
            outcome: CellOutcome::Partial,
            fault: Fault::of(&error),
            items: None,
        },
    };
    (rows, end)
}

async fn details(
    session: &Session,
    trail: &ListedTrail,
    budget: &Budget,
) -> Result<(TrailStatus, Option<bool>), CallError> {
    let (region, arn) = (&trail.home, trail.arn.as_str());
    let status = session
        .call(budget, region, Operation::GetTrailStatus, |m| async move {
            m.trail_status(region, arn).await
        })
        .await?;
    let writes = session
        .call(
            budget,
            region,
            Operation::GetEventSelectors,
            |m| async move { m.trail_writes(region, arn).await },
        )
        .await?;
    Ok((status, writes))
}

fn row(account: &Account, trail: &ListedTrail) -> Trail {
    Trail {
        scheduled_for: account.scheduled_for,
        account_id: account.account_id.clone(),
        region: trail.home.clone(),
        trail_arn: trail.arn.clone(),
        multi_region: trail.multi_region,
        organization: trail.organization,
        log_file_validation: trail.log_file_validation,
        management_writes: None,
        logging: None,
        started_logging_at: None,
        stopped_logging_at: None,
        latest_delivery_at: None,
        latest_delivery_error: None,
        bucket: text(&trail.bucket),
        prefix: text(&trail.prefix),
        kms_key: text(&trail.kms_key),
    }
}

fn add(row: &mut Trail, status: TrailStatus, writes: Option<bool>) {
    row.management_writes = writes;
    row.logging = status.logging;
    row.started_logging_at = status.started_at;
    row.stopped_logging_at = status.stopped_at;
    row.latest_delivery_at = status.delivered_at;
    row.latest_delivery_error = text(&status.delivery_error);
}
