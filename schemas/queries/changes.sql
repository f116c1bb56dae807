-- Clusters that are new, gone or judged otherwise than at the run of record before, for each date in view
-- that has one before it. A cluster that had ended by then is shown once, and is not gone afterwards.
-- `rule_change`: changed rules alone make the difference.
-- For: operators, day by day; security leads over a quarter.
-- Runs: newest two
WITH
dates AS (
    SELECT
        r.scheduled_for,
        LAG(r.scheduled_for) OVER (ORDER BY r.scheduled_for) AS before_day
    FROM run r
),
pairs AS (
    SELECT
        d.scheduled_for, v.account_id, v.region, v.cluster_id,
        v.verdict AS is_now, CASE WHEN 1 = 0 THEN v.verdict END AS was, v.rule_change,
        0 AS was_active
    FROM dates d
    JOIN verdict v ON v.scheduled_for = d.scheduled_for
    WHERE d.before_day IS NOT NULL
    UNION ALL
    SELECT
        d.scheduled_for, v.account_id, v.region, v.cluster_id,
        CASE WHEN 1 = 0 THEN v.verdict END,
        v.verdict,
        CASE WHEN 1 = 0 THEN v.rule_change END,
        CASE WHEN v.active THEN 1 ELSE 0 END
    FROM dates d
    JOIN verdict v ON v.scheduled_for = d.before_day
),
both_days AS (
    SELECT
        scheduled_for, account_id, region, cluster_id,
        MAX(was) AS was,
        MAX(is_now) AS is_now,
        MAX(rule_change) AS rule_change,
        MAX(was_active) AS was_active
    FROM pairs
    GROUP BY scheduled_for, account_id, region, cluster_id
)
SELECT
    scheduled_for,
    account_id,
    cluster_id,
    CASE
        WHEN was IS NULL THEN 'new'
        WHEN is_now IS NULL THEN 'gone'
        WHEN rule_change IS NOT NULL THEN 'rule_change'
        ELSE 'changed'
    END AS change,
    was,
    is_now
FROM both_days
WHERE was IS NULL OR (is_now IS NULL AND was_active = 1) OR was <> is_now
ORDER BY scheduled_for, account_id, region, cluster_id
