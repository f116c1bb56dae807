-- What the newest run in view asked of each account, by AWS operation: attempts, answers that said to slow
-- down, and the largest share of what AWS grants an account and Region (calls / (burst + refill x seconds),
-- while they were made) with the Region where that was. Calls of AssumeRole stand by the account that was
-- entered and count for the account of the collector, all together.
-- For: teams that ask what the audit costs their own tools, engineers who set `quota_share`.
-- Runs: newest
WITH part AS (
    SELECT
        c.scheduled_for,
        c.account_id,
        c.region,
        TRIM(SPLIT_PART(c.operations, ',', p.n)) AS cost
    FROM coverage c
    CROSS JOIN (
        VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16)
    ) AS p (n)
    WHERE c.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
        AND c.operations IS NOT NULL
        AND SPLIT_PART(c.operations, ',', p.n) <> ''
),
asked AS (
    SELECT
        scheduled_for,
        account_id,
        region,
        SPLIT_PART(cost, ':', 1) AS operation,
        CAST(SPLIT_PART(cost, ':', 2) AS BIGINT) AS calls,
        CAST(SPLIT_PART(cost, ':', 3) AS BIGINT) AS throttles,
        CAST(SPLIT_PART(cost, ':', 4) AS BIGINT) AS quota_percent
    FROM part
),
ranked AS (
    SELECT
        scheduled_for,
        account_id,
        region,
        operation,
        calls,
        throttles,
        quota_percent,
        ROW_NUMBER() OVER (
            PARTITION BY account_id, operation ORDER BY quota_percent DESC, region, calls DESC
        ) AS place
    FROM asked
)
SELECT
    scheduled_for,
    account_id,
    operation,
    CAST(SUM(calls) AS BIGINT) AS calls,
    CAST(SUM(throttles) AS BIGINT) AS throttles,
    CAST(MAX(quota_percent) AS BIGINT) AS quota_percent,
    MAX(CASE WHEN place = 1 THEN region END) AS busiest_region
FROM ranked
GROUP BY scheduled_for, account_id, operation
ORDER BY quota_percent DESC, calls DESC, account_id, operation
