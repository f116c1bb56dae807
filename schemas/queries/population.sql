-- Every cluster of the newest date in view, with what was concluded of it.
-- For: auditors who need the complete population; take it as CSV or Parquet.
-- Runs: newest
SELECT
    v.account_id,
    v.region,
    v.cluster_id,
    v.verdict,
    v.name,
    v.state,
    v.active,
    v.delivery,
    v.posture,
    v.basis,
    v.decided_by,
    v.created_at,
    v.ended_at,
    COALESCE(v.owner, '(no owner)') AS owner,
    COALESCE(v.cost_center, '(no cost center)') AS cost_center,
    v.ou_path,
    v.scheduled_for,
    v.file_sha256
FROM verdict v
WHERE v.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
ORDER BY v.account_id, v.region, v.cluster_id
