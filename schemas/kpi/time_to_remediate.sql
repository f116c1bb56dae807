-- KPI 2: time to remediate, for one quarter and every scope.
--
-- Runs unchanged in DataFusion, Amazon Athena (Trino), DuckDB and Spark. Reads the view or table
-- `remediation`, which is what remediation.sql gives for the quarter, the view `run`, which holds runs
-- of record only, and the one-row view
-- `quarter (first_day DATE, end_day DATE, start_ms BIGINT, end_ms BIGINT)`.
--
-- remediation.sql says what an interval is and how it closes. An interval counts in the quarter in
-- which a run found out that it closed. Remediated are `fixed_in_place` and `replaced`; `ended` is
-- none, and stands beside.
--   detected_*_ms: from the run that first found a cluster bad to the run that found it mended.
--   exposed_*_ms: from the launch of the first bad cluster to the run that found it mended.
--   open_*: intervals still open at quarter end, aged to the start of the latest run of record before
--     it. They are in no mean, median or p90.
-- Median and p90 are nearest ranks: values that occurred. NULL means not applicable: none remediated,
-- or none open.
--
-- A scope of kind `ou` is the full path of the account's own unit. Integers are summed; the only
-- divisions are outermost.
WITH
quarter_runs AS (
    SELECT CAST(COUNT(*) AS BIGINT) AS runs_of_record
    FROM run r
    CROSS JOIN quarter q
    WHERE r.scheduled_for >= q.first_day AND r.scheduled_for < q.end_day
),
intervals AS (
    SELECT
        k.scope_kind,
        CASE k.scope_kind
            WHEN 'organization' THEN '(all)'
            WHEN 'ou' THEN COALESCE(m.ou_path, '(no ou)')
            WHEN 'account' THEN m.account_id
            WHEN 'business_unit' THEN COALESCE(m.business_unit, '(no business unit)')
            WHEN 'owner' THEN COALESCE(m.owner, '(no owner)')
            ELSE COALESCE(m.cost_center, '(no cost center)')
        END AS scope,
        m.account_id,
        m.region,
        m.lineage,
        m.number,
        m.how,
        CASE WHEN m.opened_ms >= q.start_ms THEN 1 ELSE 0 END AS is_new,
        CASE
            WHEN m.how IN ('fixed_in_place', 'replaced') THEN 'remediated'
            WHEN m.how = 'open' THEN 'open'
            ELSE 'ended'
        END AS outcome,
        m.age_ms,
        CASE
            WHEN m.how IN ('fixed_in_place', 'replaced') THEN m.closed_ms - m.exposed_since_ms
        END AS exposed_ms
    FROM quarter q
    CROSS JOIN (
        VALUES ('organization'), ('ou'), ('account'), ('business_unit'), ('owner'), ('cost_center')
    ) AS k (scope_kind)
    CROSS JOIN remediation m
),
ranked AS (
    SELECT
        i.*,
        ROW_NUMBER() OVER (
            PARTITION BY scope_kind, scope, outcome
            ORDER BY age_ms, account_id, region, lineage, number
        ) AS age_rank,
        ROW_NUMBER() OVER (
            PARTITION BY scope_kind, scope, outcome
            ORDER BY exposed_ms, account_id, region, lineage, number
        ) AS exposed_rank,
        COUNT(*) OVER (PARTITION BY scope_kind, scope, outcome) AS of_outcome
    FROM intervals i
),
sums AS (
    SELECT
        scope_kind,
        scope,
        CAST(SUM(opened) AS BIGINT) AS opened,
        CAST(SUM(reopened) AS BIGINT) AS reopened,
        CAST(SUM(fixed_in_place) AS BIGINT) AS fixed_in_place,
        CAST(SUM(replaced) AS BIGINT) AS replaced,
        CAST(SUM(ended) AS BIGINT) AS ended,
        CAST(SUM(is_open) AS BIGINT) AS open_count,
        CAST(SUM(detected_sum_ms) AS BIGINT) AS detected_sum_ms,
        MAX(detected_median_ms) AS detected_median_ms,
        MAX(detected_p90_ms) AS detected_p90_ms,
        CAST(SUM(exposed_sum_ms) AS BIGINT) AS exposed_sum_ms,
        MAX(exposed_median_ms) AS exposed_median_ms,
        MAX(exposed_p90_ms) AS exposed_p90_ms,
        CAST(SUM(open_age_sum_ms) AS BIGINT) AS open_age_sum_ms,
        MAX(open_age_median_ms) AS open_age_median_ms,
        MAX(open_age_max_ms) AS open_age_max_ms
    FROM (
        SELECT
            scope_kind,
            scope,
            SUM(is_new) AS opened,
            SUM(CASE WHEN number > 1 THEN is_new ELSE 0 END) AS reopened,
            SUM(CASE WHEN how = 'fixed_in_place' THEN 1 ELSE 0 END) AS fixed_in_place,
            SUM(CASE WHEN how = 'replaced' THEN 1 ELSE 0 END) AS replaced,
            SUM(CASE WHEN how = 'ended' THEN 1 ELSE 0 END) AS ended,
            SUM(CASE WHEN how = 'open' THEN 1 ELSE 0 END) AS is_open,
            SUM(CASE WHEN outcome = 'remediated' THEN age_ms ELSE 0 END) AS detected_sum_ms,
            MIN(CASE WHEN outcome = 'remediated' AND 2 * age_rank >= of_outcome THEN age_ms END)
                AS detected_median_ms,
            MIN(CASE
                WHEN outcome = 'remediated' AND 10 * age_rank >= 9 * of_outcome THEN age_ms
            END) AS detected_p90_ms,
            SUM(CASE WHEN outcome = 'remediated' THEN exposed_ms ELSE 0 END) AS exposed_sum_ms,
            MIN(CASE
                WHEN outcome = 'remediated' AND 2 * exposed_rank >= of_outcome THEN exposed_ms
            END) AS exposed_median_ms,
            MIN(CASE
                WHEN outcome = 'remediated' AND 10 * exposed_rank >= 9 * of_outcome
                THEN exposed_ms
            END) AS exposed_p90_ms,
            SUM(CASE WHEN outcome = 'open' THEN age_ms ELSE 0 END) AS open_age_sum_ms,
            MIN(CASE WHEN outcome = 'open' AND 2 * age_rank >= of_outcome THEN age_ms END)
                AS open_age_median_ms,
            MAX(CASE WHEN outcome = 'open' THEN age_ms END) AS open_age_max_ms
        FROM ranked
        GROUP BY scope_kind, scope
        UNION ALL
        -- The organization has a row even when nothing was recorded.
        SELECT
            'organization', '(all)', 0, 0, 0, 0, 0, 0, 0,
            CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), 0,
            CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), 0,
            CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
        FROM quarter
    ) AS parts
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
    s.opened, s.reopened, s.fixed_in_place, s.replaced, s.ended, s.open_count,
    s.detected_sum_ms, s.detected_median_ms, s.detected_p90_ms,
    s.exposed_sum_ms, s.exposed_median_ms, s.exposed_p90_ms,
    s.open_age_sum_ms, s.open_age_median_ms, s.open_age_max_ms,
    CAST(s.detected_sum_ms AS DOUBLE)
        / CAST(NULLIF(s.fixed_in_place + s.replaced, 0) AS DOUBLE) AS detected_mean_ms,
    CAST(s.exposed_sum_ms AS DOUBLE)
        / CAST(NULLIF(s.fixed_in_place + s.replaced, 0) AS DOUBLE) AS exposed_mean_ms
FROM sums s
CROSS JOIN quarter q
CROSS JOIN quarter_runs e
ORDER BY s.scope_kind, s.scope
