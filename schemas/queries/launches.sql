-- Attempts to launch a cluster, one row an event, from the newest run in view that saw its cluster, else
-- from the newest that read it: blocked by a configured guardrail, flagged (accepted and not compliant), or neither.
-- For: security leads.
-- Runs: newest
WITH
told AS (
    SELECT
        l.event_id, l.event_at, l.event_ms, l.account_id, l.region, l.bucket, l.class, l.attempt_id,
        l.cluster_id, l.name, l.caller_arn, l.error_code, l.guardrail, l.parameters_meet,
        l.population, l.late,
        ROW_NUMBER() OVER (
            PARTITION BY l.account_id, l.region, l.event_id
            ORDER BY CASE WHEN l.population = 'seen' THEN 0 ELSE 1 END, l.scheduled_for DESC
        ) AS nth
    FROM launch l
)
SELECT
    event_at,
    account_id,
    region,
    bucket,
    class,
    cluster_id,
    name,
    caller_arn,
    error_code,
    guardrail,
    parameters_meet,
    population,
    late,
    attempt_id,
    event_id
FROM told
WHERE nth = 1
ORDER BY event_ms, account_id, region, event_id
