#!/usr/bin/env python3
"""DuckDB with two threads over the files of sealed runs of record: the SQL of every measure, or one statement.

Runs where `duckdb` is installed. Prints one line of JSON: seconds that making the views and each statement
took, and the rows.

Usage: duck.py ARCHIVE FIRST END [SQL_FILE]      runs of the dates from FIRST to END, END not included
"""

import datetime
import json
import pathlib
import sys
import time

import duckdb

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests" / "peers"))

from duckdb_read import BACKFILLED, DATASET, DAY_MS, EPOCH, SCHEMAS, columns, files, measures_read  # noqa: E402
from kpi_engines import MEASURES, TABLE, statement  # noqa: E402
from support.evidence import sealed_runs  # noqa: E402

THREADS = 2


def views(db, root, first, end):
    """A view of every dataset over the files that manifests of runs of record list."""
    by_dataset = {}
    for run in sealed_runs(root):
        if run["of_record"] and first.isoformat() <= run["scheduled_for"] < end.isoformat():
            for file in run["files"]:
                named = DATASET.match(file["name"])
                if named:
                    by_dataset.setdefault(named.group(2), []).append((root / file["name"], file["sha256"]))
    for dataset, listed in by_dataset.items():
        # The column that says which file a row is of costs nothing where no statement names it.
        digests = " ".join(f"WHEN '{path}' THEN '{sha256}'" for path, sha256 in listed)
        table = files([path for path, _ in listed]).replace("union_by_name = true", "filename = true")
        # An archive that was made before a column was is still measured.
        has = {row[0] for row in db.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()}
        named = (column.split(" ", 1) for column in columns(dataset).split(", "))
        later = "".join(f", CAST(NULL AS {kind}) AS {name}" for name, kind in named if name.strip('"') not in has)
        db.execute(f"CREATE VIEW {dataset} AS SELECT * EXCLUDE (filename){later}, CASE filename {digests} END"
                   f" AS file_sha256 FROM {table}")
    for dataset in BACKFILLED & set(measures_read()) - set(by_dataset):
        db.execute(f"CREATE TABLE {dataset} ({columns(dataset)})")
    days = [(date - EPOCH).days * DAY_MS for date in (first, end)]
    db.execute(f"CREATE VIEW quarter AS SELECT DATE '{first}' AS first_day, DATE '{end}' AS end_day,"
               f" CAST({days[0]} AS BIGINT) AS start_ms, CAST({days[1]} AS BIGINT) AS end_ms")
    lines = (SCHEMAS / "prices.csv").read_text().splitlines()
    prices = [line.split(",") for line in lines if line and not line.startswith("#")][1:]
    db.execute("CREATE TABLE price (item VARCHAR, valid_from DATE, nano_usd BIGINT, unit VARCHAR)")
    db.executemany("INSERT INTO price VALUES (?, ?, ?, ?)", prices)


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    first, end = (datetime.date.fromisoformat(text) for text in sys.argv[2:4])
    asked = {"query": pathlib.Path(sys.argv[4]).read_text()} if len(sys.argv) > 4 else {
        measure: statement(measure) for measure in MEASURES}
    took, rows = {}, {}
    begun = time.monotonic()

    def done(what):
        nonlocal begun
        begun, before = time.monotonic(), begun
        took[what] = begun - before

    db = duckdb.connect(config={"threads": THREADS})
    db.execute("SET TimeZone = 'UTC'")
    views(db, root, first, end)
    done("views")
    for name, sql in asked.items():
        if name == TABLE:
            db.execute(f"CREATE TABLE {TABLE} AS {sql}")
            sql = f"SELECT * FROM {TABLE} ORDER BY account_id, region, lineage, number"
        result = db.execute(sql)
        found = result.fetchall()
        done(name)
        rows[name] = [dict(zip([column[0] for column in result.description], row)) for row in found]
    print("measured " + json.dumps({"took_s": took, "rows": rows}, default=str))


main()
