-- KPI 1: compliant share of active clusters, for one quarter and every scope.
--
-- Runs unchanged in DataFusion, Amazon Athena (Trino), DuckDB and Spark. Reads the views `run`,
-- `verdict`, `coverage` and `account`, which hold rows of runs of record only (one run for a date),
-- and the one-row view `quarter (first_day DATE, end_day DATE, start_ms BIGINT, end_ms BIGINT)`,
-- half open: end_day is the first date after the quarter. Runs that started more than 48 h before
-- or after the quarter are left out here, so it does no harm to offer more of them.
--
-- Share = COMPLIANT / (COMPLIANT + NON_COMPLIANT + UNKNOWN); NO_LOGS stands beside it. NULL means
-- not applicable: nothing to divide by.
--
-- At quarter end (end_*): the active clusters of the latest run of record in the quarter, whose
--   date is end_date.
-- By days (days_*): for each run of record of the quarter, its active clusters; a cluster-day is
--   one cluster active at the run of one date. A cluster that lived between two runs has none.
-- By hours (*_ms): a verdict holds from the start of its run to the start of the next run of
--   record, at most 48 h, and only while the cluster lived. The first verdict of a cluster that was
--   created after the previous run also reaches back to its creation, at most 48 h before its run:
--   log settings are fixed at launch. So a cluster that came and went between two daily runs
--   counts from creation to end. Only the part inside the quarter counts. An end that a later
--   run reports ends the verdict that held before.
-- unobserved_ms: the rest of the clusters' known lives inside the quarter, from creation to end. A
--   cluster that was never seen to end is taken to live until the run that no longer shows it, and
--   to the end of the quarter where no run follows: in a quarter that is still going on, what is
--   to come counts as unobserved. It is booked where the cluster was last seen to belong.
-- Delivery: active clusters at quarter end whose logs cannot be written with the key (BROKEN), or
--   for which this is not known.
-- Coverage: cells expected, and cells that ended neither in an answer nor in an accepted gap, at
--   quarter end and summed over the quarter's runs. Only an organization, an OU and an account
--   have cells; for other scopes they are NULL.
-- Retained copies: active clusters at quarter end, whatever their verdict, whose logs AWS keeps in
--   storage of its own as well (rule EL-07), or for which this is not known.
--
-- A scope of kind `ou` is the full path of the account's own unit, without the units below it. A
-- cluster with no value is in the scope `(no owner)` and the like.
-- Integers are summed; the only divisions are outermost. 172800000 ms are 48 h.
WITH
runs AS (
    SELECT
        r.scheduled_for,
        r.started_ms,
        LAG(r.started_ms) OVER (ORDER BY r.started_ms, r.scheduled_for) AS previous_ms,
        LEAD(r.started_ms) OVER (ORDER BY r.started_ms, r.scheduled_for) AS next_ms
    FROM run r
    CROSS JOIN quarter q
    WHERE r.started_ms >= q.start_ms - 172800000
        AND r.started_ms < q.end_ms + 172800000
),
quarter_runs AS (
    SELECT
        MAX(r.scheduled_for) AS end_date,
        CAST(COUNT(*) AS BIGINT) AS runs_of_record
    FROM runs r
    CROSS JOIN quarter q
    WHERE r.scheduled_for >= q.first_day AND r.scheduled_for < q.end_day
),
-- What all runs together tell of a cluster's life.
clusters AS (
    SELECT
        v.account_id,
        v.region,
        v.cluster_id,
        MIN(r.started_ms) AS first_ms,
        MAX(r.started_ms) AS last_ms,
        MAX(v.created_ms) AS created_ms,
        MAX(v.ended_ms) AS ended_ms,
        MAX(COALESCE(r.next_ms, q.end_ms)) AS presumed_ms
    FROM quarter q
    CROSS JOIN runs r
    JOIN verdict v ON v.scheduled_for = r.scheduled_for
    GROUP BY v.account_id, v.region, v.cluster_id
),
-- Every verdict with the time its run can speak for.
seen AS (
    SELECT
        v.account_id,
        v.region,
        v.cluster_id,
        COALESCE(v.ou_path, '(no ou)') AS ou,
        COALESCE(v.business_unit, '(no business unit)') AS business_unit,
        COALESCE(v.owner, '(no owner)') AS owner,
        COALESCE(v.cost_center, '(no cost center)') AS cost_center,
        v.verdict,
        v.delivery,
        COALESCE(v.retained_copies, 'unknown') AS retained_copies,
        CASE
            WHEN v.active AND v.scheduled_for >= q.first_day AND v.scheduled_for < q.end_day
            THEN 1 ELSE 0
        END AS day_active,
        CASE WHEN v.active AND v.scheduled_for = e.end_date THEN 1 ELSE 0 END AS end_active,
        r.started_ms,
        COALESCE(r.previous_ms, r.started_ms - 172800000) AS previous_ms,
        LEAST(
            COALESCE(r.next_ms, r.started_ms + 172800000), r.started_ms + 172800000
        ) AS hold_ms,
        q.start_ms,
        q.end_ms
    FROM quarter q
    CROSS JOIN quarter_runs e
    CROSS JOIN runs r
    JOIN verdict v ON v.scheduled_for = r.scheduled_for
),
-- Verdicts of a cluster that say the same are one, with the time for which they held.
held AS (
    SELECT
        account_id, region, cluster_id, ou, business_unit, owner, cost_center,
        verdict, delivery, retained_copies,
        CAST(SUM(day_active) AS BIGINT) AS day_active,
        CAST(SUM(end_active) AS BIGINT) AS end_active,
        MAX(is_last) AS is_last,
        CAST(SUM(held_ms) AS BIGINT) AS held_ms,
        MAX(life_ms) AS life_ms
    FROM (
        SELECT
            s.account_id, s.region, s.cluster_id, s.ou, s.business_unit, s.owner, s.cost_center,
            s.verdict, s.delivery, s.retained_copies, s.day_active, s.end_active,
            CASE WHEN s.started_ms = c.last_ms THEN 1 ELSE 0 END AS is_last,
            GREATEST(
                0,
                LEAST(s.hold_ms, COALESCE(c.ended_ms, s.hold_ms), s.end_ms)
                - GREATEST(
                    CASE
                        WHEN s.started_ms = c.first_ms AND c.created_ms > s.previous_ms
                        THEN GREATEST(c.created_ms, s.started_ms - 172800000)
                        ELSE GREATEST(s.started_ms, COALESCE(c.created_ms, s.started_ms))
                    END,
                    s.start_ms
                )
            ) AS held_ms,
            GREATEST(
                0,
                LEAST(COALESCE(c.ended_ms, c.presumed_ms), s.end_ms)
                - GREATEST(COALESCE(c.created_ms, c.first_ms), s.start_ms)
            ) AS life_ms
        FROM clusters c
        JOIN seen s
            ON s.account_id = c.account_id
            AND s.region = c.region
            AND s.cluster_id = c.cluster_id
    ) AS verdicts
    GROUP BY
        account_id, region, cluster_id, ou, business_unit, owner, cost_center,
        verdict, delivery, retained_copies
),
unobserved AS (
    SELECT
        account_id,
        MAX(CASE WHEN is_last = 1 THEN ou END) AS ou,
        MAX(CASE WHEN is_last = 1 THEN business_unit END) AS business_unit,
        MAX(CASE WHEN is_last = 1 THEN owner END) AS owner,
        MAX(CASE WHEN is_last = 1 THEN cost_center END) AS cost_center,
        GREATEST(0, MAX(life_ms) - CAST(SUM(held_ms) AS BIGINT)) AS unobserved_ms
    FROM held
    GROUP BY account_id, region, cluster_id
),
places AS (
    SELECT
        account_id, ou, business_unit, owner, cost_center,
        SUM(CASE WHEN verdict = 'COMPLIANT' THEN end_active ELSE 0 END) AS end_compliant,
        SUM(CASE WHEN verdict = 'NON_COMPLIANT' THEN end_active ELSE 0 END) AS end_non_compliant,
        SUM(CASE WHEN verdict = 'UNKNOWN' THEN end_active ELSE 0 END) AS end_unknown,
        SUM(CASE WHEN verdict = 'NO_LOGS' THEN end_active ELSE 0 END) AS end_no_logs,
        SUM(CASE WHEN delivery = 'BROKEN' THEN end_active ELSE 0 END) AS end_delivery_broken,
        SUM(CASE WHEN delivery = 'UNKNOWN' THEN end_active ELSE 0 END) AS end_delivery_unknown,
        SUM(CASE WHEN retained_copies = 'yes' THEN end_active ELSE 0 END) AS end_copies_retained,
        SUM(CASE WHEN retained_copies = 'unknown' THEN end_active ELSE 0 END)
            AS end_copies_unknown,
        SUM(CASE WHEN verdict = 'COMPLIANT' THEN day_active ELSE 0 END) AS days_compliant,
        SUM(CASE WHEN verdict = 'NON_COMPLIANT' THEN day_active ELSE 0 END) AS days_non_compliant,
        SUM(CASE WHEN verdict = 'UNKNOWN' THEN day_active ELSE 0 END) AS days_unknown,
        SUM(CASE WHEN verdict = 'NO_LOGS' THEN day_active ELSE 0 END) AS days_no_logs,
        SUM(CASE WHEN verdict = 'COMPLIANT' THEN held_ms ELSE 0 END) AS compliant_ms,
        SUM(CASE WHEN verdict = 'NON_COMPLIANT' THEN held_ms ELSE 0 END) AS non_compliant_ms,
        SUM(CASE WHEN verdict = 'UNKNOWN' THEN held_ms ELSE 0 END) AS unknown_ms,
        SUM(CASE WHEN verdict = 'NO_LOGS' THEN held_ms ELSE 0 END) AS no_logs_ms,
        0 AS unobserved_ms
    FROM held
    GROUP BY account_id, ou, business_unit, owner, cost_center
    UNION ALL
    SELECT
        account_id, ou, business_unit, owner, cost_center,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        SUM(unobserved_ms)
    FROM unobserved
    GROUP BY account_id, ou, business_unit, owner, cost_center
),
-- A look-up that could not read some items is an answer when each of those is locked by its own
-- policy or lies outside the scope.
cells AS (
    SELECT
        scheduled_for,
        account_id,
        COUNT(*) AS cells,
        SUM(is_open) AS cells_open
    FROM (
        SELECT
            c.scheduled_for,
            c.account_id,
            CASE
                WHEN c.outcome IN ('collected', 'empty', 'region_off', 'account_state', 'excluded')
                THEN 0
                WHEN c.outcome = 'partial' AND c.items_failed = 0 THEN 0
                WHEN c.accepted_by IS NOT NULL THEN 0
                ELSE 1
            END AS is_open
        FROM runs r
        JOIN coverage c ON c.scheduled_for = r.scheduled_for
    ) AS judged
    GROUP BY scheduled_for, account_id
),
cell_places AS (
    SELECT
        c.account_id,
        COALESCE(a.ou_path, '(no ou)') AS ou,
        SUM(CASE WHEN c.scheduled_for = e.end_date THEN c.cells ELSE 0 END) AS end_cells,
        SUM(CASE WHEN c.scheduled_for = e.end_date THEN c.cells_open ELSE 0 END) AS end_cells_open,
        SUM(c.cells) AS cells,
        SUM(c.cells_open) AS cells_open
    FROM quarter q
    CROSS JOIN quarter_runs e
    CROSS JOIN cells c
    LEFT JOIN account a
        ON a.scheduled_for = c.scheduled_for AND a.account_id = c.account_id
    WHERE c.scheduled_for >= q.first_day AND c.scheduled_for < q.end_day
    GROUP BY c.account_id, COALESCE(a.ou_path, '(no ou)')
),
scoped AS (
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN p.ou
            WHEN 'account' THEN p.account_id
            WHEN 'business_unit' THEN p.business_unit
            WHEN 'owner' THEN p.owner
            ELSE p.cost_center
        END AS scope,
        p.end_compliant, p.end_non_compliant, p.end_unknown, p.end_no_logs,
        p.end_delivery_broken, p.end_delivery_unknown,
        p.end_copies_retained, p.end_copies_unknown,
        p.days_compliant, p.days_non_compliant, p.days_unknown, p.days_no_logs,
        p.compliant_ms, p.non_compliant_ms, p.unknown_ms, p.no_logs_ms, p.unobserved_ms,
        CAST(NULL AS BIGINT) AS end_cells,
        CAST(NULL AS BIGINT) AS end_cells_open,
        CAST(NULL AS BIGINT) AS cells,
        CAST(NULL AS BIGINT) AS cells_open
    FROM (
        VALUES ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
    ) AS k (scope_kind)
    CROSS JOIN places p
    UNION ALL
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN c.ou
            ELSE c.account_id
        END,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        c.end_cells, c.end_cells_open, c.cells, c.cells_open
    FROM (VALUES ('organization'), ('ou'), ('account')) AS k (scope_kind)
    CROSS JOIN cell_places c
    UNION ALL
    -- The organization has a row even when nothing was recorded.
    SELECT
        'organization', '(all)',
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0
    FROM quarter
),
sums AS (
    SELECT
        scope_kind,
        scope,
        CAST(SUM(end_compliant) AS BIGINT) AS end_compliant,
        CAST(SUM(end_non_compliant) AS BIGINT) AS end_non_compliant,
        CAST(SUM(end_unknown) AS BIGINT) AS end_unknown,
        CAST(SUM(end_no_logs) AS BIGINT) AS end_no_logs,
        CAST(SUM(end_delivery_broken) AS BIGINT) AS end_delivery_broken,
        CAST(SUM(end_delivery_unknown) AS BIGINT) AS end_delivery_unknown,
        CAST(SUM(end_copies_retained) AS BIGINT) AS end_copies_retained,
        CAST(SUM(end_copies_unknown) AS BIGINT) AS end_copies_unknown,
        CAST(SUM(days_compliant) AS BIGINT) AS days_compliant,
        CAST(SUM(days_non_compliant) AS BIGINT) AS days_non_compliant,
        CAST(SUM(days_unknown) AS BIGINT) AS days_unknown,
        CAST(SUM(days_no_logs) AS BIGINT) AS days_no_logs,
        CAST(SUM(compliant_ms) AS BIGINT) AS compliant_ms,
        CAST(SUM(non_compliant_ms) AS BIGINT) AS non_compliant_ms,
        CAST(SUM(unknown_ms) AS BIGINT) AS unknown_ms,
        CAST(SUM(no_logs_ms) AS BIGINT) AS no_logs_ms,
        CAST(SUM(unobserved_ms) AS BIGINT) AS unobserved_ms,
        CAST(SUM(end_cells) AS BIGINT) AS end_cells,
        CAST(SUM(end_cells_open) AS BIGINT) AS end_cells_open,
        CAST(SUM(cells) AS BIGINT) AS cells,
        CAST(SUM(cells_open) AS BIGINT) AS cells_open
    FROM scoped
    GROUP BY scope_kind, scope
)
SELECT
    q.first_day AS quarter_start,
    s.scope_kind,
    s.scope,
    -- Both instants are midnights: the quotient is whole.
    CAST(CAST(q.end_ms - q.start_ms AS DOUBLE) / CAST(86400000 AS DOUBLE) AS BIGINT)
        AS days_expected,
    e.runs_of_record,
    e.end_date,
    s.end_compliant, s.end_non_compliant, s.end_unknown, s.end_no_logs,
    s.end_delivery_broken, s.end_delivery_unknown,
    s.end_copies_retained, s.end_copies_unknown,
    s.days_compliant, s.days_non_compliant, s.days_unknown, s.days_no_logs,
    s.compliant_ms, s.non_compliant_ms, s.unknown_ms, s.no_logs_ms, s.unobserved_ms,
    s.end_cells, s.end_cells_open, s.cells, s.cells_open,
    CAST(s.end_compliant AS DOUBLE)
        / CAST(NULLIF(s.end_compliant + s.end_non_compliant + s.end_unknown, 0) AS DOUBLE)
        AS share_at_end,
    CAST(s.days_compliant AS DOUBLE)
        / CAST(NULLIF(s.days_compliant + s.days_non_compliant + s.days_unknown, 0) AS DOUBLE)
        AS share_by_days,
    CAST(s.compliant_ms AS DOUBLE)
        / CAST(NULLIF(s.compliant_ms + s.non_compliant_ms + s.unknown_ms, 0) AS DOUBLE)
        AS share_by_hours
FROM sums s
CROSS JOIN quarter q
CROSS JOIN quarter_runs e
ORDER BY s.scope_kind, s.scope
