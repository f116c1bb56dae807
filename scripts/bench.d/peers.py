"""What others use for the same: c7n-org and Prowler over the same organization, and the SDK alone."""

import json
import re

EXTERNAL_ID = "keyproof-external"
ROLE = "keyproof-reader"
SDK_CALLS = 20_000
# Prowler's own checks of EMR; the one left out asks addresses that are not AWS's.
PROWLER_CHECKS = ["emr_cluster_account_public_block_enabled", "emr_cluster_master_nodes_no_public_ip"]
PROWLER_ACCOUNTS = 3  # it takes one account at a time


def entered(called):
    """Accounts that a first run entered, with the Regions in which it listed clusters."""
    places = {}
    for call in called["calls"]:
        if call["operation"] == "ListClusters" and call["calls"] > call["throttled"]:
            places.setdefault(call["account"], []).append(call["region"])
    return {account: sorted(regions) for account, regions in sorted(places.items())}


def c7n_org(python, folder, places, start):
    """c7n-org lists and describes the EMR clusters of the same accounts and Regions."""
    accounts = [{"account_id": account, "name": f"account-{account}", "regions": regions,
                 "role": f"arn:aws:iam::{account}:role/{ROLE}", "external_id": EXTERNAL_ID}
                for account, regions in places.items()]
    (folder / "accounts.json").write_text(json.dumps({"accounts": accounts}), encoding="utf-8")
    policies = {"policies": [{"name": "emr", "resource": "aws.emr"}]}
    (folder / "policies.json").write_text(json.dumps(policies), encoding="utf-8")
    # An account that refuses something makes it end with 1.
    process = start("c7n-org", python.parent / "c7n-org", "run", "-c", folder / "accounts.json", "-s",
                    folder / "c7n-out", "-u", folder / "policies.json", "--cache-period", 0)
    used = process.finish(0, 1)
    found = re.search(r"Policy resource counts Counter\(\{'emr': (\d+)\}\)", process.text())
    return used | {"clusters": int(found[1]) if found else 0}


def prowler(python, folder, places, start):
    """Prowler's checks of EMR, account by account."""
    used = {"wall_s": 0.0, "cpu_s": 0.0, "peak_bytes": 0}
    for account, regions in list(places.items())[:PROWLER_ACCOUNTS]:
        # 3: checks failed.
        one = start(f"prowler-{account}", python.parent / "prowler", "aws", "--role",
                    f"arn:aws:iam::{account}:role/{ROLE}", "--external-id", EXTERNAL_ID, "--checks",
                    *PROWLER_CHECKS, "--region", *regions, "--output-directory", folder / "prowler-out",
                    "--output-formats", "csv", "--no-banner").finish(0, 3)
        used = {"wall_s": used["wall_s"] + one["wall_s"], "cpu_s": used["cpu_s"] + one["cpu_s"],
                "peak_bytes": max(used["peak_bytes"], one["peak_bytes"])}
    return used | {"accounts": min(len(places), PROWLER_ACCOUNTS)}


def text(row, ours, r):
    """The table of c7n-org and Prowler beside a first run."""
    for name in ("c7n-org", "prowler"):
        peer = r.get(name)
        if not peer:
            yield row(name, "not there", f"{r['missing'][name]}")
            continue
        yield row(f"{name}, CPU a call", f"{peer['cpu_ms_per_call']:.1f} ms",
                  f"{peer['cpu_s']:.1f} s, {peer['calls']:,} calls; ours {ours['cpu_ms_per_call']:.2f} ms, 1/"
                  f"{peer['cpu_ms_per_call'] / ours['cpu_ms_per_call']:.0f} of it" +
                  ("; target 1/50" if name == "c7n-org" else ""))
        yield row("  wall, peak memory", f"{peer['wall_s']:.1f} s", f"{peer['peak_bytes'] / (1 << 20):.0f} MiB of its largest process; ours "
                  f"{ours['wall_s']:.1f} s with {ours['calls']:,} calls, {ours['peak_bytes'] / (1 << 20):.0f} MiB")


def sdk_text(row, r):
    for name, title in (("bare", "the SDK alone"), ("ours", "as Keyproof calls it")):
        each = r[name]
        yield row(f"{title}, CPU a call", f"{each['cpu_s'] / r['calls'] * 1e6:.0f} us",
                  f"{r['calls']:,} ListClusters calls, {r['clusters_per_page']:.0f} clusters a page, "
                  f"{r['calls'] / each['wall_s']:,.0f} a second")
    yield row("ours to the SDK's", f"{r['ours']['cpu_s'] / r['bare']['cpu_s']:.2f} x", "target 1.5")
