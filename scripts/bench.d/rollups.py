"""A quarter of daily runs rolled up, and one day of it asked, beside DuckDB with the same SQL and files."""

import datetime
import json
import re

QUARTER = "2026Q3"
FIRST, END = datetime.date(2026, 7, 1), datetime.date(2026, 10, 1)
CLUSTERS = 20_000  # a run tells of
TARGET = 1.0  # times DuckDB
REPEATS = 3  # the best counts
ROLLED = re.compile(r"from (\d+) files, ([\d.]+) MiB: compared in ([\d.]+) s, SQL in ([\d.]+) s")
COUNTED = """
SELECT f.rule, f.outcome, v.verdict, v.business_unit, CAST(COUNT(*) AS BIGINT) AS findings,
    CAST(COUNT(DISTINCT v.cluster_id) AS BIGINT) AS clusters
FROM finding f
JOIN verdict v ON v.account_id = f.account_id AND v.region = f.region AND v.cluster_id = f.cluster_id
GROUP BY f.rule, f.outcome, v.verdict, v.business_unit
ORDER BY f.rule, f.outcome, v.verdict, v.business_unit
"""


class Quarter:
    """An archive of 92 daily runs, made once."""

    def __init__(self, given, start, test):
        self.given, self.start, self.repo = given, start, given.repo
        self.folder = given.work / "quarter"
        self.folder.mkdir()
        self.archive = given.quarter or self.folder / "archive"
        if given.quarter is None:
            env = {"KEYPROOF_BENCH_QUARTER": QUARTER, "KEYPROOF_BENCH_CLUSTERS": str(CLUSTERS),
                   "KEYPROOF_BENCH_ARCHIVE": str(self.archive)}
            self.made = test(given, self.folder, "quarter_at_scale::a_quarter_of_runs_is_sealed", env)[0]
        self.rows, self.bytes = self.evidence()

    def evidence(self):
        """Rows by dataset, and bytes of all files."""
        rows, size = {}, 0
        for path in self.archive.glob("manifest/v1/dt=*/*.json"):
            for file in json.loads(path.read_text(encoding="utf-8"))["files"]:
                if file.get("rows") is not None:
                    dataset = file["name"].split("/")[1]
                    rows[dataset] = rows.get(dataset, 0) + int(file["rows"])
                    size += int(file["bytes"])
        return rows, size

    def ours(self, name, *command):
        return self.best(name, lambda log: self.start(self.folder / f"{log}.log", self.given.binary, *command,
                         "--archive", self.archive, "--state-dir", self.folder / "state"))

    def theirs(self, name, *arguments):
        """DuckDB in a process of its own, whose SQL is told apart from its start."""
        found = self.best(name, lambda log: self.start(self.folder / f"{log}.log", self.given.duckdb, "-B",
                          self.repo / "scripts/bench.d/duck.py", self.archive, *arguments))
        told = [json.loads(re.search(r"^measured (.*)$", text, re.M)[1]) for text in found.pop("texts")]
        least = min(told, key=lambda each: sum(each["took_s"].values()))
        return found | least | {"sql_s": sum(least["took_s"].values())}

    def best(self, name, start):
        used, texts = [], []
        for repeat in range(REPEATS):
            process = start(f"{name}-{repeat}")
            used.append(process.finish(0))
            texts.append(process.text())
        return {"wall_s": min(u["wall_s"] for u in used), "cpu_s": min(u["cpu_s"] for u in used),
                "peak_bytes": max(u["peak_bytes"] for u in used), "texts": texts}

    def rollup(self):
        ours = self.ours("rollup", "rollup", "--quarter", QUARTER, "--no-seal", "--format", "json")
        texts = ours.pop("texts")
        told = [[float(part) for part in ROLLED.search(text).groups()] for text in texts]
        files, mib, compared_s, sql_s = min(told, key=lambda each: each[3])
        theirs = self.theirs("duckdb-rollup", FIRST, END)
        answer = json.loads(next(line for line in texts[-1].splitlines() if line.startswith("{")))
        answer.pop("price")
        return {"ours": ours | {"files": int(files), "mib": mib, "compared_s": compared_s, "sql_s": sql_s},
                "duckdb": theirs, "same": same(answer, theirs.pop("rows")),
                "rows": {measure: len(rows) for measure, rows in answer.items()},
                "evidence": self.rows, "bytes": self.bytes}

    def query(self):
        last = END - datetime.timedelta(days=1)
        population = self.repo / "schemas/queries/population.sql"
        counted = self.folder / "counted.sql"
        counted.write_text(COUNTED, encoding="utf-8")
        results = {}
        for name, path, command in (("population", population, ["--named", "population"]),
                                    ("counted", counted, [COUNTED])):
            ours = self.ours(f"query-{name}", "query", "--format", "json", "--at", last, *command)
            theirs = self.theirs(f"duckdb-query-{name}", last, END, path)
            texts = ours.pop("texts")
            answer = json.loads(next(line for line in texts[-1].splitlines() if line.startswith("[")))
            rows = theirs.pop("rows")
            results[name] = {"ours": ours, "duckdb": theirs, "rows": len(answer), "same": same({"query": answer}, rows)}
        return results


def same(ours, theirs):
    """Whether DuckDB gives the same rows, in the columns that ours have. Instants are spelled in two ways."""
    def plain(row, columns):
        return [None if row[c] is None else str(row[c]) for c in columns if not c.endswith("_at")]

    def rows(name):
        columns = list(ours[name][0]) if ours[name] else []
        return [plain(row, columns) for row in ours[name]] == [plain(row, columns) for row in theirs[name]]

    return ours.keys() == theirs.keys() and all(map(rows, ours))


def beside(row, title, ours, theirs, target=True):
    aim = f"; target {TARGET}" if target else ""
    yield row(title, f"{ours:.3f} s", f"{ours / theirs:.2f} x DuckDB's {theirs:.3f} s{aim}")


def memory(row, r):
    ours, theirs = r["ours"]["peak_bytes"], r["duckdb"]["peak_bytes"]
    yield row("  peak memory", f"{ours / (1 << 20):.0f} MiB", f"{ours / theirs:.2f} x DuckDB's {theirs / (1 << 20):.0f} MiB")
    ours, theirs = r["ours"]["cpu_s"], r["duckdb"]["cpu_s"]
    yield row("  CPU of the process", f"{ours:.3f} s", f"{ours / theirs:.2f} x DuckDB's {theirs:.3f} s")
    yield row("  answers", "the same" if r["same"] else "DIFFERENT")


def rollup_text(row, r):
    ours = r["ours"]
    runs, verdicts = r["evidence"]["run"], r["evidence"]["verdict"]
    yield row("clusters a run tells of", f"{verdicts / runs:,.0f}", f"{runs} runs, {verdicts:,} verdicts, "
              f"{r['bytes'] / (1 << 20):.0f} MiB of evidence")
    yield from beside(row, "SQL alone", ours["sql_s"], r["duckdb"]["sql_s"])
    yield from beside(row, "whole process", ours["wall_s"], r["duckdb"]["wall_s"])
    yield row("  of it comparing digests", f"{ours['compared_s']:.3f} s", f"{ours['files']:,} files, {ours['mib']:.1f} MiB")
    yield from memory(row, r)
    for measure, took in r["duckdb"]["took_s"].items():
        yield row(f"  DuckDB: {measure}", f"{took:.3f} s", f"{r['rows'][measure]:,} rows" if measure in r["rows"] else "")


def query_text(row, r):
    for name, each in r.items():
        yield row(name, f"{each['rows']:,} rows")
        yield from beside(row, "  whole process", each["ours"]["wall_s"], each["duckdb"]["wall_s"])
        yield row("  DuckDB's SQL alone", f"{each['duckdb']['sql_s']:.3f} s")
        yield from memory(row, each)
