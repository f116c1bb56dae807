-- Cells (account, Region, source) of the newest date in view that ended neither in an answer nor in an
-- accepted gap: what the run could not look at, and why: the action that was denied, else
-- the error. The dataset `coverage` has AWS's request ids.
-- For: operators who want to close gaps, auditors who want to know what is not covered.
-- Runs: newest
SELECT
    c.scheduled_for,
    c.account_id,
    c.region,
    c.source,
    c.outcome,
    COALESCE(c.denied_action, c.error_code) AS why
FROM coverage c
WHERE c.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
    AND c.accepted_by IS NULL
    AND c.outcome NOT IN ('collected', 'empty', 'region_off', 'account_state', 'excluded')
    AND NOT (c.outcome = 'partial' AND COALESCE(c.items_failed, 1) = 0)
ORDER BY c.account_id, c.region, c.source
