-- A reproducible sample of the newest date's clusters, each with the chain entry that seals it and the
-- digest of the file that holds its row. The same seed, number and population give the same sample in
-- every engine: rows are numbered in key order and the numbers are shuffled with x -> (x + k)^5 modulo
-- the prime 2147483647, three times, k from the seed; the first n are drawn.
-- For: auditors (ISA 530 sampling); seed and n are in the view `asked`.
-- Runs: newest
WITH
numbered AS (
    SELECT
        v.scheduled_for, v.account_id, v.region, v.cluster_id, v.verdict, v.file_sha256,
        CAST(ROW_NUMBER() OVER (ORDER BY v.account_id, v.region, v.cluster_id) AS BIGINT) AS row_n,
        CAST(COUNT(*) OVER () AS BIGINT) AS population
    FROM verdict v
    WHERE v.scheduled_for = (SELECT MAX(r.scheduled_for) FROM run r)
),
added_1 AS (
    SELECT n.*, (n.row_n + a.seed % 2147483647 + 2147483647) % 2147483647 AS x
    FROM numbered n
    CROSS JOIN asked a
),
round_1 AS (
    SELECT
        row_n,
        ((x * x % 2147483647) * (x * x % 2147483647) % 2147483647) * x % 2147483647 AS y
    FROM added_1
),
added_2 AS (
    SELECT
        r.row_n,
        (r.y + (a.seed % 2147483647 + 2147483647) % 2147483647 * 48271 % 2147483647 + 1)
        % 2147483647 AS x
    FROM round_1 r
    CROSS JOIN asked a
),
round_2 AS (
    SELECT
        row_n,
        ((x * x % 2147483647) * (x * x % 2147483647) % 2147483647) * x % 2147483647 AS y
    FROM added_2
),
added_3 AS (
    SELECT
        r.row_n,
        (r.y + (a.seed % 2147483647 + 2147483647) % 2147483647 * 69621 % 2147483647 + 2)
        % 2147483647 AS x
    FROM round_2 r
    CROSS JOIN asked a
),
shuffled AS (
    SELECT
        row_n,
        ((x * x % 2147483647) * (x * x % 2147483647) % 2147483647) * x % 2147483647 AS y
    FROM added_3
),
drawn AS (
    SELECT row_n, ROW_NUMBER() OVER (ORDER BY y, row_n) AS turn
    FROM shuffled
)
SELECT
    n.scheduled_for,
    CAST(d.turn AS BIGINT) AS draw,
    n.account_id,
    n.region,
    n.cluster_id,
    n.verdict,
    n.row_n,
    n.population,
    f.chain_seq,
    f.chain_sha256,
    f.name AS file_name,
    n.file_sha256
FROM drawn d
JOIN numbered n ON n.row_n = d.row_n
JOIN evidence_file f ON f.file_sha256 = n.file_sha256
CROSS JOIN asked a
WHERE d.turn <= a.n
ORDER BY draw
