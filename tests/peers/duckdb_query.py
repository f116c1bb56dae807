#!/usr/bin/env python3
"""Runs the named queries of schemas/queries/ in DuckDB and compares every row with `keyproof query`.

The views are made here, from the files that manifests of runs of record list, after their digests were
compared. Every statement, those of schemas/kpi/ and schemas/views.sql among them, is also read as Athena
and as Trino SQL by sqlglot. Prints `N passed, N failed`; exit 1 when anything failed.

Usage: duckdb_query.py --binary KEYPROOF --archive DIR
"""

import argparse
import pathlib
import sys
import tempfile

import duckdb
import sqlglot

from support.evidence import SCHEMAS, Checks, ask, named, plain, quarter_of, sealed_runs, sha256, statements

DATASETS = sorted(path.stem for path in (SCHEMAS / "datasets").glob("*.md"))


def views(checks, db, root, runs, first, end, seed, n):
    """Creates every view over the runs of record of the quarter."""
    speaking = [
        run for run in runs if run["of_record"] and first <= run["scheduled_for"] < end
    ]
    db.execute(
        "CREATE TABLE evidence_file (file_sha256 VARCHAR, name VARCHAR, dataset VARCHAR, run_id VARCHAR,"
        " scheduled_for DATE, chain_seq BIGINT, chain_sha256 VARCHAR)"
    )
    by_dataset = {}
    for run in speaking:
        for file in run["files"]:
            parts = file["name"].split("/")
            if parts[0] != "evidence":
                continue
            path = root / file["name"]
            checks.expect(f"{file['name']}: digest", sha256(path), file["sha256"])
            by_dataset.setdefault(parts[1], []).append((path, file["sha256"]))
            db.execute(
                "INSERT INTO evidence_file VALUES (?, ?, ?, ?, ?, ?, ?)",
                [file["sha256"], file["name"], parts[1], run["run_id"], run["scheduled_for"]]
                + [run["chain_seq"], run["chain_sha256"]],
            )
    for dataset in DATASETS:
        files = by_dataset.get(dataset, [])
        if not files:
            continue
        names = ", ".join(f"'{path}'" for path, _ in files)
        digests = " ".join(f"WHEN '{path}' THEN '{digest}'" for path, digest in files)
        db.execute(
            f'CREATE VIEW "{dataset}" AS SELECT * EXCLUDE (filename),'
            f" CASE filename {digests} END AS file_sha256"
            f" FROM read_parquet([{names}], filename = true, hive_partitioning = false, union_by_name = true)"
        )
    db.execute(
        "CREATE TABLE sealed_run (chain_seq BIGINT, run_id VARCHAR, scheduled_for DATE,"
        " scheduled_ms BIGINT, started_ms BIGINT, outcome VARCHAR, late BOOLEAN, full_scope BOOLEAN,"
        " of_record BOOLEAN, cells_open BIGINT)"
    )
    columns = [row[0] for row in db.execute("DESCRIBE sealed_run").fetchall()]
    for run in runs:
        db.execute(
            f"INSERT INTO sealed_run VALUES ({', '.join('?' for _ in columns)})",
            [run[column] for column in columns],
        )
    db.execute(
        f"CREATE VIEW asked AS SELECT DATE '{first}' AS first_day, DATE '{end}' AS end_day,"
        f" CAST({seed} AS BIGINT) AS seed, CAST({n} AS BIGINT) AS n"
    )


def check_dialects(checks):
    texts = {path.name: path.read_text() for path in sorted(SCHEMAS.glob("*/*.sql"))}
    texts["views.sql"] = (SCHEMAS / "views.sql").read_text()
    for name, text in texts.items():
        for dialect in ("athena", "trino"):
            try:
                for statement in statements(text):
                    sqlglot.parse_one(statement, read=dialect)
                found = ""
            except sqlglot.errors.ParseError as error:
                found = str(error)[:300]
            checks.expect(f"{name} as {dialect}", found, "")
    try:
        text = (SCHEMAS / "tables.sql").read_text()
        tables = [sqlglot.parse_one(statement, read="athena") for statement in statements(text)]
    except sqlglot.errors.ParseError as error:
        tables = []
        checks.expect("tables.sql as athena", str(error)[:300], "")
    created = [tree for tree in tables if isinstance(tree, sqlglot.exp.Create)]
    # The database, chain, manifest and manifests of rollups stand beside the tables of both.
    rollups = list((SCHEMAS / "rollups").glob("*.md"))
    checks.expect("tables.sql: statements", len(created), len(DATASETS) + len(rollups) + 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--archive", required=True, type=pathlib.Path)
    arguments, _ = parser.parse_known_args()
    root = arguments.archive.resolve()
    checks = Checks()
    check_dialects(checks)
    runs = sealed_runs(root)
    quarter, first, end = quarter_of(runs[-1]["scheduled_for"])
    samples = set()
    with tempfile.TemporaryDirectory() as state:
        for seed, n in ((7, 25), (-12_345_678_901, 3)):
            db = duckdb.connect()
            db.execute("SET TimeZone = 'UTC'")
            views(checks, db, root, runs, first.isoformat(), end.isoformat(), seed, n)
            for name, text in named().items():
                cursor = db.execute(text)
                columns = [column[0] for column in cursor.description]
                found = [plain(dict(zip(columns, row))) for row in cursor.fetchall()]
                drawn = ["--seed", seed, "--n", n] if name == "sample-clusters" else []
                expected = ask(arguments.binary, root, state, "--quarter", quarter, *drawn, "--named", name)
                checks.expect(f"{name}: rows", len(found), len(expected))
                for number, (ours, theirs) in enumerate(zip(found, expected)):
                    checks.expect(f"{name}: row {number}", ours, theirs)
                if name == "sample-clusters":
                    checks.expect(f"{name}: n", len(found) <= n, True)
                    samples.add(tuple(row["cluster_id"] for row in found))
    checks.expect("two seeds, two samples", len(samples), 2)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
