-- Dates within the asked time without a run of record (missed), dates whose run of record is PARTIAL, and
-- sealed runs that speak for no date: late ones, and those that looked at a part of the scope. A missed
-- stretch may begin before and end after the time that was asked for.
-- For: auditors and operators. What comes after the newest sealed run is not known here.
-- Runs: every
WITH
speaking AS (
    SELECT
        s.scheduled_for,
        s.scheduled_ms,
        LAG(s.run_id) OVER (ORDER BY s.scheduled_for) AS before_run,
        LAG(s.scheduled_for) OVER (ORDER BY s.scheduled_for) AS before_day,
        LAG(s.scheduled_ms) OVER (ORDER BY s.scheduled_for) AS before_ms
    FROM sealed_run s
    WHERE s.of_record
)
SELECT
    k.kind,
    k.after_day,
    k.until_day,
    k.days,
    k.run_id,
    k.chain_seq,
    k.cells_open
FROM (
    SELECT
        'missed' AS kind,
        before_day AS after_day,
        scheduled_for AS until_day,
        CAST(CAST(scheduled_ms - before_ms AS DOUBLE) / CAST(86400000 AS DOUBLE) AS BIGINT) - 1 AS days,
        CASE WHEN 1 = 0 THEN before_run END AS run_id,
        CAST(NULL AS BIGINT) AS chain_seq,
        CAST(NULL AS BIGINT) AS cells_open
    FROM speaking
    WHERE scheduled_ms - before_ms > 86400000
    UNION ALL
    SELECT
        CASE
            WHEN s.late THEN 'late'
            WHEN NOT s.full_scope THEN 'narrowed'
            ELSE 'partial'
        END AS kind,
        s.scheduled_for AS after_day,
        s.scheduled_for AS until_day,
        CAST(1 AS BIGINT) AS days,
        s.run_id,
        s.chain_seq,
        s.cells_open
    FROM sealed_run s
    WHERE s.late OR NOT s.full_scope OR (s.of_record AND s.outcome = 'PARTIAL')
) k
CROSS JOIN asked a
WHERE k.until_day >= a.first_day AND k.after_day < a.end_day
ORDER BY k.after_day, k.kind, k.chain_seq NULLS LAST
