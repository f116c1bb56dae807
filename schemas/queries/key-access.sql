-- Who may use or rule the keys that logs are under, at the newest date in view. Holders outside the
-- organization stand first, then those of whom nobody can tell. `conditional` and `unknown` name in
-- depends_on what decides.
-- For: auditors (need to know), security leads (who could switch a key off).
-- Runs: newest
SELECT
    k.key_arn,
    k.action,
    k.holder,
    k.holder_kind,
    k.decision,
    k.in_organization,
    k.holder_account,
    k.business_unit,
    k.depends_on,
    k.decided_by,
    k.scheduled_for
FROM key_access k
WHERE k.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
ORDER BY
    CASE WHEN k.in_organization THEN 2 WHEN k.in_organization IS NULL THEN 1 ELSE 0 END,
    k.key_arn,
    k.action,
    k.holder
