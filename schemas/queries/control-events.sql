-- What changed keys, buckets, security configurations and trails, one row an event, from the newest run in
-- view that read it: breaks, repairs, changes or blinds. A refused call changed nothing.
-- For: security leads, and auditors who ask who turned what off.
-- Runs: every
WITH
told AS (
    SELECT
        c.event_at, c.event_ms, c.account_id, c.region, c.effect, c.event_source, c.event_name,
        c.resource, c.caller_arn, c.error_code, c.read_from, c.event_id,
        ROW_NUMBER() OVER (
            PARTITION BY c.account_id, c.region, c.event_id ORDER BY c.scheduled_for DESC
        ) AS nth
    FROM control_event c
)
SELECT
    event_at,
    account_id,
    region,
    effect,
    event_name,
    resource,
    caller_arn,
    error_code,
    event_source,
    read_from,
    event_id
FROM told
WHERE nth = 1
ORDER BY event_ms, account_id, region, event_id
