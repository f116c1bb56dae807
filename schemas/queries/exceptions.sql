-- The exceptions of the newest date in view: what was accepted, why, by whom, until when, and how much it
-- covered. Expired ones stand first; they have no effect.
-- For: auditors.
-- Runs: newest
SELECT
    e.exception_id,
    e.kind,
    e.expires,
    e.expired,
    e.used,
    e.approver,
    e.reason,
    e.accounts,
    e.ous,
    e.regions,
    e.sources,
    e.outcomes,
    e.rules,
    e.resources,
    e.scheduled_for
FROM exception e
WHERE e.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
ORDER BY CASE WHEN e.expired THEN 0 ELSE 1 END, e.expires, e.exception_id
