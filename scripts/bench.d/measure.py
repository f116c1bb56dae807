"""Measures runs of keyproof against its sandbox, each in a process of its own.

Called by scripts/bench, which builds first. Uses Python's standard library only.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import peers
import rollups
import tls
from peers import EXTERNAL_ID

SCENARIOS = ["run-200x4", "run-200x4-second", "assess", "encode", "verify", "peers", "sdk", "tls", "rollup", "query"]
JUDGED = re.compile(r"judged (\d+) clusters in ([\d.]+) s, \d+/s, with (\d+) findings; working out keys ([\d.]+) s, the rest \d+/s; with reading and writing ([\d.]+) s")
RUN = re.compile(r"run-(\d+)x(\d+)(?:x(\d+))?(-second)?")
NAMED = ("assess", "encode", "verify", "peers", "sdk", "tls", "rollup", "query")  # the others have a size
PEERS_SIZE = (20, 4)  # accounts and Regions; c7n-org takes 70 ms of CPU a call
CLUSTERS = 3  # alive on an average day, per account and Region
SAMPLE = (6, 3, 59)  # accounts, Regions and clusters alive, as dense as 1,000 x 17 of a million clusters
ENCODED = 1_000_000  # clusters
ENCODED_TARGET = 1_000_000  # rows a second
BYTES_TARGETS = {"emr_cluster": 40, "finding": 8}  # of a row
CONCURRENCY = 64
SHARE = 1.0  # of AWS's rates
MEMORY_TARGET = 256 << 20
MIB = 1 << 20
# Clusters that a second run had to describe. One that is gone has no row; nor has it a second call.
DESCRIBED = """
WITH two AS (SELECT max(scheduled_for) AS day FROM emr_cluster),
     before AS (SELECT e.* FROM emr_cluster e CROSS JOIN two WHERE e.scheduled_for < two.day),
     now AS (SELECT e.* FROM emr_cluster e CROSS JOIN two WHERE e.scheduled_for = two.day)
SELECT
  CAST(coalesce(sum(CASE WHEN n.seen = 'listed' AND n.settings = 'described' AND b.cluster_id IS NULL THEN 1 END), 0) AS BIGINT) AS "new",
  CAST(coalesce(sum(CASE WHEN n.seen = 'vanished' THEN 1 END), 0) AS BIGINT) AS vanished,
  CAST(coalesce(sum(CASE WHEN n.seen = 'listed' AND n.settings = 'described' AND b.cluster_id IS NOT NULL THEN 1 END), 0) AS BIGINT) AS due
FROM now n LEFT JOIN before b
  ON b.account_id = n.account_id AND b.region = n.region AND b.cluster_id = n.cluster_id
"""
REPEATS = 5  # of what takes under a second; the best counts


class BenchError(Exception):
    """What stops a benchmark, as one sentence."""


def options():
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measures keyproof on a simulated organization; docs/benchmarks.md explains the figures.",
        epilog="run-AxR is a first run over A accounts and R Regions with clusters; run-AxR-second is the "
        "next day's run on the same archive; run-AxRxC has C clusters alive in each account-region; assess judges the first run again; encode writes and seals the rows of a million clusters; verify checks the archive that the runs before it left, or one of two runs of its own, and that of encode where it was made; peers runs c7n-org and Prowler over the organization of a first run; sdk makes the same calls through the SDK alone; tls is the first run through TLS; rollup rolls up a quarter of daily runs and query asks one day of it, both beside DuckDB.",
    )
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help=f"default: {' '.join(SCENARIOS)}")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    parser.add_argument("--profile", choices=["release", "dev"], default="release",
                        help="how keyproof is built (default: %(default)s)")
    parser.add_argument("--latency", type=int, default=20, metavar="MS",
                        help="milliseconds that every answer is late (default: %(default)s)")
    parser.add_argument("--buckets", choices=["real", "off"], default="real",
                        help="whether the sandbox throttles as AWS does (default: %(default)s)")
    parser.add_argument("--quarter", type=pathlib.Path, metavar="ARCHIVE",
                        help="an archive for rollup and query that they made before (default: a new one)")
    # The rest is for scripts/bench itself.
    parser.add_argument("--print-profile", action="store_true", help=argparse.SUPPRESS)
    for name in ["--binary", "--tests", "--clock", "--work", "--repo", "--c7n", "--prowler", "--duckdb"]:
        parser.add_argument(name, type=pathlib.Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.scenario = given.scenario or SCENARIOS
    if given.latency < 1:
        parser.error("--latency takes whole milliseconds, at least 1")
    for name in given.scenario:
        if name not in NAMED and not RUN.fullmatch(name):
            parser.error(f"no scenario {name}: there are {', '.join(SCENARIOS)}, and run-AxR of other sizes")
    return given


def cpu_pressure():
    """Seconds since boot in which some process of the machine waited for a core, where the kernel tells."""
    try:
        line = pathlib.Path("/proc/pressure/cpu").read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return None
    return int(line.rpartition("total=")[2]) / 1e6


class Process:
    """A child process, measured from its start to its end."""

    def __init__(self, command, log, env):
        self.log = log
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "KEYPROOF_"))}
        with open(log, "w", encoding="utf-8") as sink:
            self.pressure = cpu_pressure()
            self.begun = time.monotonic()
            self.child = subprocess.Popen([str(c) for c in command], env=inherited | env,
                                          stdout=sink, stderr=subprocess.STDOUT)

    def text(self):
        return self.log.read_text(encoding="utf-8")

    def finish(self, *accepted):
        """Waits; wall and CPU in seconds, peak resident memory in bytes."""
        _, status, usage = os.wait4(self.child.pid, 0)
        wall = time.monotonic() - self.begun
        pressure = cpu_pressure()
        self.child.returncode = code = os.waitstatus_to_exitcode(status)
        if code not in accepted:
            raise BenchError(f"{' '.join(map(str, self.child.args))} ended with {code}:\n{self.text()}")
        return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * 1024,
                "contended_s": None if pressure is None else pressure - self.pressure}


class Organization:
    """A generated organization of one size, its archive, and a clock that can be moved."""

    def __init__(self, given, accounts, regions, clusters=CLUSTERS):
        self.given, self.accounts, self.regions, self.clusters = given, accounts, regions, clusters
        self.folder = given.work / f"{accounts}x{regions}x{clusters}"
        self.folder.mkdir()
        self.archive = self.folder / "archive"
        self.offset = self.folder / "clock"
        self.results = []  # of the runs so far, in order

    def shift(self, days_ago):
        """Moves the clock to 02:00 UTC of a day, or back to the machine's time (None)."""
        ms = 0
        if days_ago is not None:
            now = datetime.datetime.now(datetime.timezone.utc)
            day = now.replace(hour=2, minute=0, second=0, microsecond=0) - datetime.timedelta(days=days_ago)
            ms = round((day - now).total_seconds() * 1000)
        # In place: processes have the file mapped.
        with open(self.offset, "r+b" if self.offset.exists() else "wb") as file:
            file.write(struct.pack("=q", ms))

    def start(self, name, *command, env=()):
        env = dict(env) | {"LD_PRELOAD": str(self.given.clock), "BENCH_CLOCK_FILE": str(self.offset)}
        return Process(command, self.folder / f"{name}.log", env)

    def keyproof(self, name, *command, env=()):
        return self.start(name, self.given.binary, *command, env=env)

    def run(self, number):
        """Gives the measurements of a run, making the ones before it first."""
        while len(self.results) < number:
            self.results.append(self.make_run(len(self.results) + 1))
        return self.results[number - 1]

    def sandbox(self, name, latency, use):
        """Serves the organization, begun at the same time of day whenever that is, while something uses it.
        Gives what `use` gives, what was called, and what the sandbox itself used."""
        self.shift(None)
        counts = self.folder / f"calls-{name}.json"
        sandbox = self.keyproof(f"sandbox-{name}", "sandbox", "--accounts", self.accounts, "--regions",
                             self.regions, "--clusters", self.clusters, "--buckets", self.given.buckets, "--latency",
                             latency, "--calls", counts)
        try:
            env = served(sandbox)
            generated = time.monotonic() - sandbox.begun
            found = use(env)
        finally:
            sandbox.child.send_signal(signal.SIGTERM)
        used = sandbox.finish(0)
        called = json.loads(counts.read_text(encoding="utf-8"))
        return found, called, used | {"generated_s": generated}

    def collect(self, name, day, env, folder):
        """One run, measured."""
        self.shift(day)
        return self.keyproof(
            name, "run", "--quiet", "--endpoint-url", env.pop("url"), "--archive", folder / "archive",
            "--signing-key", folder / "signing-key.pem", "--state-dir", folder / "state",
            "--work-dir", folder / "work", "--external-id", EXTERNAL_ID,
            "--concurrency", CONCURRENCY, "--quota-share", SHARE, env=env).finish(0, 4)

    def tls(self):
        """The first run once more, through TLS that ends in a process of its own."""
        plain = self.run(1)
        folder = self.folder / "tls"
        folder.mkdir()
        authority, certificate, key = tls.certificates(folder)

        def use(env):
            target = env.pop("url").removeprefix("http://")
            relay = subprocess.Popen([sys.executable, "-B", tls.__file__, target, certificate, key],
                                     stdout=subprocess.PIPE, text=True)
            try:
                env["url"] = f"https://127.0.0.1:{int(relay.stdout.readline())}"
                # Today: certificates of now are not valid on the day of the first run.
                return self.collect("run-tls", None, env | {"SSL_CERT_FILE": str(authority)}, folder)
            finally:
                relay.terminate()
                relay.wait()

        used, called, _ = self.sandbox("tls", self.given.latency, use)
        calls = sum(c["calls"] for c in called["calls"])
        return {"plain": {"calls": plain["calls"], "cpu_ms_per_call": plain["cpu_s"] * 1000 / plain["calls"]},
                "tls": used | {"calls": calls, "connections": called["connections"],
                               "cpu_ms_per_call": used["cpu_s"] * 1000 / calls}}

    def make_run(self, number):
        def use(env):
            return self.collect(f"run-{number}", 2 - number, env, self.folder)

        measured, called, sandbox = self.sandbox(number, self.given.latency, use)
        return measured | figures(called, self.given.latency / 1000) | {
            "places": peers.entered(called),
            "sandbox_cpu_s": sandbox["cpu_s"],
            "sandbox_peak_bytes": sandbox["peak_bytes"],
            "sandbox_generated_s": sandbox["generated_s"],
            "evidence": self.evidence(number),
        }

    def described(self):
        """Why the second run described clusters, as its rows and the first run's tell."""
        self.shift(None)
        process = self.keyproof("described", "query", "--archive", self.archive, "--format", "json", DESCRIBED,
                                env={"KEYPROOF_STATE_DIR": str(self.folder / "state")})
        process.finish(0)
        answer = next(line for line in process.text().splitlines() if line.startswith("["))
        return {name: int(count) for name, count in json.loads(answer)[0].items()}

    def peers(self):
        """c7n-org and Prowler over the accounts and Regions that a first run entered."""
        ours = self.run(1)
        result = {"ours": ours, "missing": {}}
        for name, program, run in (("c7n-org", self.given.c7n, peers.c7n_org),
                                   ("prowler", self.given.prowler, peers.prowler)):
            if not program or not program.name:
                result["missing"][name] = "not installed"
                continue

            def use(env):
                env = env | {"AWS_ENDPOINT_URL": env["url"], "AWS_DEFAULT_REGION": env["AWS_REGION"]}
                env.pop("url")
                start = lambda log, *command: Process(command, self.folder / f"{log}.log", env)
                return run(program, self.folder, ours["places"], start)

            used, called, _ = self.sandbox(name, self.given.latency, use)
            calls = sum(c["calls"] for c in called["calls"])
            result[name] = used | {"calls": calls, "cpu_ms_per_call": used["cpu_s"] * 1000 / calls}
        return result

    def sdk(self):
        """The same calls through the SDK alone and as a run makes them, without latency or buckets."""
        account = next(iter(self.run(1)["places"]))

        def use(env):
            env = env | {"KEYPROOF_BENCH_URL": env["url"], "KEYPROOF_BENCH_CALLS": str(peers.SDK_CALLS),
                         "KEYPROOF_BENCH_ACCOUNT": account, "KEYPROOF_BENCH_EXTERNAL_ID": EXTERNAL_ID}
            return test(self.given, self.folder, "bare_sdk::list_clusters_through_the_sdk_alone_and_as_we_call_it", env)[0]

        buckets, self.given.buckets = self.given.buckets, "off"
        try:
            return self.sandbox("sdk", 0, use)[0]
        finally:
            self.given.buckets = buckets

    def evidence(self, number):
        """Rows and bytes by dataset, as the manifest of the newest run lists them."""
        manifests = sorted(self.archive.glob("manifest/v1/dt=*/*.json"))
        if len(manifests) != number:
            raise BenchError(f"{number} runs left {len(manifests)} manifests below {self.archive}")
        datasets = {}
        for file in json.loads(manifests[-1].read_text(encoding="utf-8"))["files"]:
            if file.get("rows") is not None:
                entry = datasets.setdefault(file["name"].split("/")[1], {"rows": 0, "bytes": 0})
                entry["rows"] += file["rows"]
                entry["bytes"] += file["bytes"]
        return datasets

    def assess(self):
        """Judging the first run's clusters again from its sealed facts, on one core; the best counts."""
        run = self.run(1)
        run_id = min((self.archive / "manifest").rglob("*.json")).stem
        rates = []
        for repeat in range(REPEATS):
            process = self.keyproof(f"assess-{repeat}", "assess", "--archive", self.archive, "--run-id", run_id,
                                 env={"KEYPROOF_STATE_DIR": str(self.folder / "assess-state")})
            process.finish(0)
            found = JUDGED.search(process.text())
            if not found:
                raise BenchError(f"keyproof assess does not say how fast it was:\n{process.text()}")
            rates.append([float(part) for part in found.groups()])
        clusters, assess_s, findings, keys_s, whole_s = min(rates, key=lambda rate: rate[1])
        return {"clusters": int(clusters), "findings": int(findings), "assess_s": assess_s, "whole_s": whole_s,
                "keys_s": keys_s, "rest_clusters_per_s": clusters / (assess_s - keys_s) if assess_s > keys_s else None,
                "clusters_per_s": clusters / assess_s if assess_s else None,
                "findings_per_s": findings / assess_s if assess_s else None,
                "share_of_run": whole_s / run["wall_s"]}

    def encode(self):
        """Encoding and sealing rows like those of the second run, for very many clusters."""
        self.run(2)
        self.shift(None)
        self.encoded = self.folder / "encoded"
        env = {"KEYPROOF_BENCH_SAMPLE": str(self.archive), "KEYPROOF_BENCH_ARCHIVE": str(self.encoded),
               "KEYPROOF_BENCH_CLUSTERS": str(ENCODED)}

        sealed, used = test(self.given, self.folder, "at_scale::very_many_clusters_are_encoded_and_sealed", env)
        return {"alone": test(self.given, self.folder, "at_scale::encoding_alone", env)[0], "sealed": sealed | {"peak_bytes": used["peak_bytes"]}}

    def verify(self):
        """Verification of what the runs left, and of what was encoded."""
        if not self.results:
            self.run(2)
        return {"runs": self.verified(self.archive)}

    def verified(self, archive):
        """Verification up to level 3 and to the default level, and sha256sum over the same bytes."""
        files = [p for p in archive.rglob("*") if p.is_file()]

        def best(name, *command):
            repeats = [self.start(name, *command).finish(0) for _ in range(REPEATS)]
            return {"wall_s": min(m["wall_s"] for m in repeats), "cpu_s": min(m["cpu_s"] for m in repeats),
                    "peak_bytes": max(m["peak_bytes"] for m in repeats)}

        theirs = best("sha256sum", "sha256sum", *files)

        def ours(name, *level):
            used = best(name, self.given.binary, "verify", archive, "--self-consistent-only", *level)
            return used | {"wall_to_sha256sum": used["wall_s"] / theirs["wall_s"],
                           "cpu_to_sha256sum": used["cpu_s"] / theirs["cpu_s"] if theirs["cpu_s"] else None}

        openssl = shutil.which("openssl")
        return {"levels_1_to_3": ours("verify-3", "--level", 3), "default_levels": ours("verify"),
                "files": len(files), "bytes": sum(p.stat().st_size for p in files), "sha256sum": theirs,
                "openssl": best("openssl", openssl, "dgst", "-sha256", *files) if openssl else None}


def test(given, folder, name, env):
    """A measurement that is an ignored test: what it prints, and what it used."""
    process = Process([given.tests, name, "--exact", "--ignored", "--nocapture"],
                      folder / f"{name.rpartition(':')[2]}.log", env)
    used = process.finish(0)
    found = re.search(r"^measured (.*)$", process.text(), re.M)
    if not found:
        raise BenchError(f"{name} says nothing:\n{process.text()}")
    return json.loads(found[1]), used


def served(sandbox):
    """Waits until the sandbox serves; its address and credentials."""
    while sandbox.child.poll() is None and time.monotonic() - sandbox.begun < 120:
        text = sandbox.text()
        if "Ctrl-C ends it" in text:
            env = dict(re.findall(r"(AWS_[A-Z_]+)=(\S+)", text))
            # Without a Region the SDK would ask the machine's metadata service, at its own pace.
            return env | {"AWS_REGION": "us-east-1", "url": re.search(r"http://[0-9.:]+", text)[0]}
        time.sleep(0.01)
    raise BenchError(f"the sandbox does not serve:\n{sandbox.text()}")


def figures(called, latency_s):
    """What the sandbox counted, and the time that these calls need at best."""
    calls = called["calls"]
    total = sum(c["calls"] for c in calls)
    buckets = {}
    for c in calls:
        if c["burst"] is None:
            continue
        # STS calls of an account share one grant.
        operation = "*" if c["service"] == "sts" else c["operation"]
        bucket = buckets.setdefault((c["account"], c["region"], c["service"], operation), [0, c])
        bucket[0] += c["calls"]
    busiest_s, busiest = max(
        (max(0.0, (n - c["burst"]) / (c["refill_per_s"] * SHARE)), f"{n} {key[2]} {key[3]} calls in one account-region")
        for key, (n, c) in buckets.items())
    flight_s = latency_s * total / CONCURRENCY
    operations = {}
    for c in calls:
        operations[c["operation"]] = operations.get(c["operation"], 0) + c["calls"]
    clusters = [c["first_ms"] for c in calls if c["operation"] == "ListClusters"]
    return {
        # The first question of all comes from a run that has just begun.
        "first_emr_call_s": (min(clusters) - min(c["first_ms"] for c in calls)) / 1000 if clusters else None,
        "calls": total,
        "throttled": sum(c["throttled"] for c in calls),
        "operations": operations,
        "in_flight_max": called["in_flight_max"],
        "connections": called["connections"],
        "latency_s": flight_s,
        "busiest_bucket_s": busiest_s,
        "busiest_bucket": busiest,
        "ideal_s": max(flight_s, busiest_s),
    }


def measure(given):
    organizations, results, last, encoded, quarter = {}, {}, None, None, None
    for name in given.scenario:
        if name in ("rollup", "query"):
            quarter = quarter or rollups.Quarter(given, lambda log, *command: Process(command, log, {}), test)
            results[name] = getattr(quarter, name)()
            continue
        if name == "encode":
            encoded = Organization(given, *SAMPLE)
            results[name] = encoded.encode()
            continue
        run = RUN.fullmatch(name)
        size = (int(run[1]), int(run[2]), int(run[3] or CLUSTERS)) if run else last or (200, 4, CLUSTERS)
        if name in ("peers", "sdk"):
            size = (*PEERS_SIZE, CLUSTERS)
        if size not in organizations:
            organizations[size] = Organization(given, *size)
        organization = organizations[size]
        if name in ("peers", "sdk", "tls"):
            results[name] = getattr(organization, name)()
            continue
        last = size
        if run is None:
            results[name] = organization.assess() if name == "assess" else organization.verify()
            if name == "verify" and encoded:
                results[name]["encoded"] = encoded.verified(encoded.encoded)
            continue
        result = dict(organization.run(2 if run[4] else 1))
        result["wall_to_ideal"] = result["wall_s"] / result["ideal_s"]
        result["peak_to_target"] = result["peak_bytes"] / MEMORY_TARGET
        result["cpu_ms_per_call"] = result["cpu_s"] * 1000 / result["calls"]
        if run[4]:
            first = organization.run(1)["operations"]
            result["first_run_describe_cluster"] = first.get("DescribeCluster", 0)
            result["described"] = organization.described()
        results[name] = result
    return results


def circumstances(given):
    def git(*arguments):
        return subprocess.run(["git", "-C", given.repo, *arguments], capture_output=True, text=True).stdout.strip()

    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    if git("status", "--porcelain", "--untracked-files=no"):
        commit += " with changes"
    cpu = re.search(r"^model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": commit,
        "profile": given.profile,
        "cores": os.cpu_count(),
        "cpu": cpu[1] if cpu else "unknown",
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        "load_before": round(os.getloadavg()[0], 1),
        "latency_ms": given.latency,
        "concurrency": CONCURRENCY,
        "quota_share": SHARE,
        "buckets": given.buckets,
        "clusters": CLUSTERS,
    }


def text(about, results):
    yield (f"keyproof {about['commit']}, {about['profile']} build, {about['date']}; {about['cores']} cores "
           f"({about['cpu']}), {about['memory_gib']} GiB; load before: {about['load_before']}")
    yield (f"{about['latency_ms']} ms latency, concurrency {about['concurrency']}, quota share "
           f"{about['quota_share']:g}, {about['clusters']} clusters alive per account and Region; "
           f"{'throttled as AWS does' if about['buckets'] == 'real' else 'never throttled'}")
    for name, r in results.items():
        yield ""
        yield name
        if name == "verify":
            for of, verified in r.items():
                yield from verified_text(of, verified)
            continue
        if name == "encode":
            yield from encoded_text(r)
            continue
        if name == "peers":
            ours = r["ours"] | {"cpu_ms_per_call": r["ours"]["cpu_s"] * 1000 / r["ours"]["calls"]}
            yield from peers.text(row, ours, r)
            continue
        if name == "sdk":
            yield from peers.sdk_text(row, r)
            continue
        if name == "tls":
            over, plain = r["tls"]["cpu_ms_per_call"], r["plain"]["cpu_ms_per_call"]
            yield row("CPU, plain", f"{plain:.3f} ms", f"a call of {r['plain']['calls']:,}")
            yield row("CPU, through TLS", f"{over:.3f} ms", f"a call of {r['tls']['calls']:,}; "
                      f"{r['tls']['connections']} connections")
            yield row("TLS is", f"{(over - plain) / over:.1%}", "of the CPU of a run through it")
            continue
        if name in ("rollup", "query"):
            yield from (rollups.rollup_text if name == "rollup" else rollups.query_text)(row, r)
            continue
        if name == "assess":
            yield row("clusters a second, one core", f"{r['clusters_per_s'] or 0:,.0f}",
                      f"best of {REPEATS}: {r['clusters']:,} in {r['assess_s']:.3f} s")
            yield row("the same, keys worked out before", f"{r['rest_clusters_per_s'] or 0:,.0f}",
                      f"keys take {r['keys_s']:.3f} s of it; target 100,000")
            yield row("findings a second, one core", f"{r['findings_per_s'] or 0:,.0f}", f"{r['findings']:,}")
            yield row("judging, I/O included", f"{r['whole_s']:.3f} s", f"{r['share_of_run']:.2%} of a run's wall")
            continue
        by_bucket = r["busiest_bucket_s"] >= r["latency_s"]
        bound = r["busiest_bucket"] if by_bucket else "latency x calls / concurrency"
        yield row("wall", f"{r['wall_s']:.1f} s", f"{r['wall_to_ideal']:.2f} x ideal {r['ideal_s']:.1f} s ({bound})")
        if by_bucket:
            yield row("", "", f"{r['wall_s'] / r['latency_s']:.2f} x latency x calls / concurrency, {r['latency_s']:.1f} s")
        yield row("CPU, user + system", f"{r['cpu_s']:.1f} s", f"{r['cpu_ms_per_call']:.2f} ms a call")
        if r["contended_s"] is not None:
            yield row("cores contended for", f"{r['contended_s']:.1f} s", f"{r['contended_s'] / r['wall_s']:.2f} x wall")
        yield row("peak memory", f"{r['peak_bytes'] / MIB:.0f} MiB", f"{r['peak_to_target']:.2f} x 256 MiB")
        if r["first_emr_call_s"] is not None:
            yield row("first EMR call", f"{r['first_emr_call_s']:.1f} s", "after the first call of all; target 5 s")
        yield row("calls", f"{r['calls']:,}", f"{r['throttled'] / r['calls']:.2%} throttled; at most "
                  f"{r['in_flight_max']} in flight, {r['connections']} connections")
        described = r["operations"].get("DescribeCluster", 0)
        clusters = r["evidence"].get("emr_cluster", {"rows": 0})["rows"]
        yield row("DescribeCluster", f"{described:,}", f"{described / max(clusters, 1):.2f} a cluster of {clusters:,}" + (
            f"; {described / max(r['first_run_describe_cluster'], 1):.3f} x the first run's"
            if "first_run_describe_cluster" in r else ""))
        if "described" in r:
            why = r["described"]
            told = sum(why.values())
            yield row("  new + vanished + due", f"{told:,}", f"{why['new']:,} + {why['vanished']:,} + {why['due']:,}; "
                      f"the sandbox counted {described - told:+,}")
        yield row("sandbox", f"{r['sandbox_cpu_s']:.1f} s", f"CPU on the same cores; serving after "
                  f"{r['sandbox_generated_s']:.2f} s")
        total = sum(e["bytes"] for e in r["evidence"].values())
        yield row("evidence", f"{total / 1024:,.0f} KiB")
        for dataset, e in r["evidence"].items():
            each = f"{e['bytes'] / e['rows']:.1f} bytes a row" if e["rows"] else ""
            yield row(f"  {dataset}", f"{e['bytes']:,}", f"{e['rows']:,} rows" + (f", {each}" if each else ""))


def verified_text(of, r):
    yield row(f"archive of {of}", f"{r['files']} files", f"{r['bytes'] / MIB:.2f} MiB")
    for title, levels in (("levels 1 to 3", r["levels_1_to_3"]), ("default levels", r["default_levels"])):
        yield row(f"  {title}", f"{levels['wall_s']:.3f} s",
                  f"{levels['wall_to_sha256sum']:.2f} x sha256sum; target 1.2; best of {REPEATS}")
        yield row("  its CPU, peak memory", f"{levels['cpu_s']:.3f} s",
                  f"{levels['cpu_to_sha256sum'] or 0:.2f} x sha256sum's; {levels['peak_bytes'] / MIB:.0f} MiB")
    for tool in ("sha256sum", "openssl"):
        if r[tool]:
            yield row(f"  {tool}", f"{r[tool]['wall_s']:.3f} s", f"CPU {r[tool]['cpu_s']:.3f} s, one core")


def encoded_text(r):
    for dataset, each in r["alone"].items():
        yield row(f"{dataset}, rows a second", f"{each['rows'] / each['wall_s']:,.0f}",
                  f"{each['cpu_s'] / each['rows'] * 1e6:.2f} us of CPU a row; {each['rows']:,} rows from memory, best "
                  f"of {REPEATS}; target {ENCODED_TARGET:,}")
    sealed = r["sealed"]
    for dataset, each in sealed["datasets"].items():
        target = BYTES_TARGETS.get(dataset)
        yield row(f"{dataset}, bytes a row", f"{each['bytes'] / each['rows']:.1f}",
                  f"{each['rows']:,} rows, {each['bytes'] / MIB:.1f} MiB" + (f"; target {target}" if target else ""))
        yield row("  encoded in", f"{each['wall_s']:.1f} s",
                  f"{each['rows'] / each['wall_s']:,.0f} rows a second; CPU {each['cpu_s']:.1f} s; making the rows is "
                  f"{each['making_wall_s']:.1f} s of either")
    yield row("all, sealed", f"{sealed['wall_s']:.1f} s", f"{sealed['accounts']:,} accounts; seal {sealed['seal_s']:.2f} s")
    yield row("peak memory", f"{sealed['peak_bytes'] / MIB:.0f} MiB", f"{sealed['peak_bytes'] / MEMORY_TARGET:.2f} x 256 MiB")


def row(label, value, note=""):
    return f"  {label:<28}{value:>12}   {note}".rstrip()


def main():
    given = options()
    if given.print_profile:
        asked = set(given.scenario)
        makes = {"encode", "sdk"} | (set() if given.quarter else {"rollup", "query"})
        needs = {"tests": makes, "peers": {"peers"}, "duckdb": {"rollup", "query"}}
        print(given.profile, *(what for what, whom in needs.items() if whom & asked))
        return
    about = circumstances(given)
    try:
        results = measure(given)
    except BenchError as error:
        sys.exit(f"scripts/bench: {error}")
    if given.json:
        print(json.dumps({"about": about, "results": results}, indent=2))
    else:
        print("\n".join(text(about, results)))


main()
