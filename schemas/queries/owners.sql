-- Active clusters of the newest date in view by owner and verdict; who has most to fix stands first.
-- For: platform and FinOps engineers who hand out the work.
-- Runs: newest
SELECT
    v.scheduled_for,
    COALESCE(v.owner, '(no owner)') AS owner,
    CAST(COUNT(*) AS BIGINT) AS active,
    CAST(SUM(CASE WHEN v.verdict = 'COMPLIANT' THEN 1 ELSE 0 END) AS BIGINT) AS compliant,
    CAST(SUM(CASE WHEN v.verdict = 'NON_COMPLIANT' THEN 1 ELSE 0 END) AS BIGINT) AS non_compliant,
    CAST(SUM(CASE WHEN v.verdict = 'UNKNOWN' THEN 1 ELSE 0 END) AS BIGINT) AS unknown,
    CAST(SUM(CASE WHEN v.verdict = 'NO_LOGS' THEN 1 ELSE 0 END) AS BIGINT) AS no_logs,
    CAST(COUNT(DISTINCT v.account_id) AS BIGINT) AS accounts
FROM verdict v
WHERE v.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
    AND v.active
GROUP BY v.scheduled_for, COALESCE(v.owner, '(no owner)')
ORDER BY non_compliant DESC, unknown DESC, owner
