#!/usr/bin/env python3
"""Runs the SQL of schemas/kpi/ in DuckDB and in Spark on quarters whose figures are stated.

A Rust test writes the quarters (`QUARTERS_DIR=DIR cargo test --lib quarters`): the Parquet files,
the figures that were counted by hand, and every column that DataFusion gives. The same SQL files must
give the stated figures, and DataFusion's rows to the last digit, ratios included. Every statement must
also parse as Athena's and Trino's SQL. Spark needs Java 17; without it that part is skipped, and said
so. Prints `N passed, N failed`; exit 1 when anything failed.

Usage: kpi_engines.py --quarters DIR
"""

import argparse
import datetime
import json
import pathlib
import shutil
import sys

import duckdb
import sqlglot

from duckdb_read import SCHEMAS, Checks, connect, files

# In this order: one reads what another gives.
MEASURES = [
    "compliant_share",
    "remediation",
    "time_to_remediate",
    "launch_attempts",
    "logs_reencrypted",
    "key_cost",
]
# Which measure is a table that a later one reads.
TABLE = "remediation"


def statement(measure):
    return (SCHEMAS / "kpi" / f"{measure}.sql").read_text()


def datasets(folder):
    """The files of a quarter by dataset."""
    found = {}
    for path in sorted(folder.glob("*.parquet")):
        found.setdefault(path.stem.rsplit("-", 1)[0], []).append(path)
    return found


def quarter_view(folder):
    bounds = json.loads((folder / "quarter.json").read_text())
    return (
        f"SELECT DATE '{bounds['first_day']}' AS first_day, DATE '{bounds['end_day']}' AS end_day,"
        f" CAST({bounds['start_ms']} AS BIGINT) AS start_ms, CAST({bounds['end_ms']} AS BIGINT) AS end_ms"
    )


class DuckDb:
    name = "DuckDB"

    def __init__(self, folder):
        self.db = connect()
        for dataset, paths in datasets(folder).items():
            self.db.execute(f"CREATE VIEW {dataset} AS SELECT * FROM {files(paths)}")
        self.db.execute(f"CREATE VIEW quarter AS {quarter_view(folder)}")

    def rows(self, measure, sql):
        result = self.db.execute(sql)
        columns = [column[0] for column in result.description]
        rows = [dict(zip(columns, row)) for row in result.fetchall()]
        if measure == TABLE:
            self.db.execute(f"CREATE TABLE {measure} AS {sql}")
        return rows


class Spark:
    name = "Spark"
    session = None

    def __init__(self, folder):
        if Spark.session is None:
            Spark.session = spark_session()
        for dataset, paths in datasets(folder).items():
            frame = Spark.session.read.parquet(*[str(path) for path in paths])
            frame.createOrReplaceTempView(dataset)
        Spark.session.sql(quarter_view(folder)).createOrReplaceTempView("quarter")

    def rows(self, measure, sql):
        frame = Spark.session.sql(sql)
        if measure == TABLE:
            # Computed once, as a table of its own would be.
            frame = frame.localCheckpoint()
            frame.createOrReplaceTempView(measure)
        return [row.asDict() for row in frame.collect()]


def spark_session():
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.default.parallelism": "1",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def plain(value):
    """A value as JSON has it."""
    return value.isoformat() if isinstance(value, (datetime.date, datetime.datetime)) else value


def check_quarter(checks, engine, folder):
    by_measure = {}
    for measure in MEASURES:
        what = f"{engine.name}, {folder.name}, {measure}"
        lines = (folder / f"{measure}.jsonl").read_text().splitlines()
        expected = [json.loads(line) for line in lines]
        rows = [
            {column: plain(value) for column, value in row.items()}
            for row in engine.rows(measure, statement(measure))
        ]
        checks.expect(f"{what}: rows", len(rows), len(expected))
        for found, wanted in zip(rows, expected):
            scope = [found.get(name) for name in ("scope_kind", "scope", "account_id", "lineage")]
            checks.expect(f"{what}, {scope}", found, wanted)
        by_measure[measure] = rows
    for measure, kind, scope, column, value in json.loads((folder / "stated.json").read_text()):
        rows = by_measure[measure]
        found = [row[column] for row in rows if (row["scope_kind"], row["scope"]) == (kind, scope)]
        checks.expect(f"{engine.name}, {folder.name}, {measure} {kind} {scope} {column}", found, [value])


def check_dialects(checks):
    for path in sorted((SCHEMAS / "kpi").glob("*.sql")):
        for dialect in ("athena", "trino"):
            try:
                parsed = len(sqlglot.parse(path.read_text(), read=dialect))
            except sqlglot.errors.ParseError as error:
                parsed = str(error)
            checks.expect(f"{path.name} as {dialect}: statements", parsed, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quarters", type=pathlib.Path, help="what the Rust test wrote")
    arguments, _ = parser.parse_known_args()
    checks = Checks()
    check_dialects(checks)
    folders = []
    if arguments.quarters is None:
        print("SKIPPED every quarter: no --quarters; only the dialects were looked at")
    else:
        folders = sorted(path for path in arguments.quarters.iterdir() if path.is_dir())
        checks.expect("quarters, at least six", len(folders) >= 6, True)
    engines = [DuckDb]
    try:
        import pyspark  # noqa: F401
    except ImportError:
        print("SKIPPED Spark: pyspark is not installed")
    else:
        if shutil.which("java"):
            engines.append(Spark)
        else:
            print("SKIPPED Spark: no java; Spark 4 needs Java 17")
    for engine in engines:
        for folder in folders:
            check_quarter(checks, engine(folder), folder)
    looked = ", ".join(engine.name for engine in engines)
    print(f"{len(folders)} quarters in {looked}")
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 0 if checks.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
