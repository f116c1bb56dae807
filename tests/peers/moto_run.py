#!/usr/bin/env python3
"""Audits an organization that moto serves: a third party's Organizations, STS, KMS and S3.

moto knows nothing of this project, so what it accepts and answers is a second opinion on the AWS
protocols. What it gets wrong is judged against the sandbox instead:

- it drops LogEncryptionKmsKeyId, so every cluster looks as if it had no log key;
- on a loopback endpoint every EMR Region is us-east-1, and account ListRegions does not exist, so
  the run names that one Region;
- it cannot list security configurations (500, always), so the run must give up on them in time and
  end PARTIAL (exit 4);
- it hashes a KMS digest once more, so one archive is signed with a local key, another by KMS in
  its RAW mode.

Steps: start moto_server on a free loopback port, build the organization, run the binary, verify the
archive with it, then read the bucket with boto3 and the Parquet files with DuckDB.

Usage: moto_run.py --binary target/debug/keyproof    run and check
       moto_run.py --setup-only                      build the organization and check that alone
"""

import argparse
import base64
import datetime
import hashlib
import json
import os
import re
import tempfile
import time

import duckdb
from botocore.exceptions import ClientError

from support import moto
from support.moto import check, client

MANAGEMENT = moto.ACCOUNT
REGION = moto.REGION
ROLE = "keyproof-reader"
BUCKET = "keyproof-evidence"
PREFIX = "keyproof"
PREFIX_SIGNED_BY_KMS = "signed-by-kms"
LOCK_DAYS = 3  # longer than the bucket's own default, so that it shows who set the lock
EXIT_SUCCESS, EXIT_USAGE, EXIT_PARTIAL, EXIT_UNVERIFIED = 0, 2, 4, 5

# What the run says of the bucket: as built below, without a bucket policy. (moto_deploy.py has one.)
ARCHIVE_CHECKS = {
    "bucket_key": "pass",
    "configured_key": "pass",
    "create_only": "fail",
    "default_encryption": "pass",
    "delete_denied": "fail",
    "key_decrypt": "pass",
    "key_deletion": "pass",
    "key_state": "pass",
    "lock_bypass_denied": "fail",
    "lock_covers_retention": "fail",
    "object_lock": "pass",
    "object_ownership": "fail",
    "public_access_block": "pass",
    "settings_guarded": "fail",
    "tls_only": "fail",
    "versioning": "unknown",  # moto answers with an XML root that S3 does not have
}

def build_organization(endpoint):
    """Management account and three members, each with the role and one or two clusters; the
    evidence bucket and its key in the management account, where the job runs."""
    organizations = client(endpoint, "organizations")
    organizations.create_organization(FeatureSet="ALL")
    members = [
        organizations.create_account(AccountName=name, Email=f"{name}@example.com")[
            "CreateAccountStatus"]["AccountId"]
        for name in ("payments", "marketing", "research")
    ]
    trust = {
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"},
            "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"],
        }],
    }
    clusters = {}
    for number, account in enumerate([MANAGEMENT, *members]):
        credentials = moto.assume(endpoint, f"arn:aws:iam::{account}:role/{ROLE}")
        client(endpoint, "iam", credentials).create_role(
            RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust)
        )
        s3 = client(endpoint, "s3", credentials)
        logs = f"logs-{account}"
        s3.create_bucket(Bucket=logs)
        s3.put_bucket_versioning(Bucket=logs, VersioningConfiguration={"Status": "Enabled"})
        for written in (b"1", b"22"):
            s3.put_object(Bucket=logs, Key="emr/j-1/node/a log+1.gz", Body=written)
        s3.put_object(Bucket=logs, Key="elsewhere/x", Body=b"333")
        emr = client(endpoint, "emr", credentials)
        clusters[account] = {
            emr.run_job_flow(
                Name=f"nightly-{account}-{index}",
                LogUri=f"s3://{logs}/emr/",
                ReleaseLabel="emr-7.3.0",
                Instances={
                    "MasterInstanceType": "m5.xlarge",
                    "SlaveInstanceType": "m5.xlarge",
                    "InstanceCount": 2,
                    "KeepJobFlowAliveWhenNoSteps": True,
                },
                JobFlowRole="EMR_EC2_DefaultRole",
                ServiceRole="EMR_DefaultRole",
                VisibleToAllUsers=True,
            )["JobFlowId"]
            for index in range(1 + number % 2)
        }

    kms = client(endpoint, "kms")
    key = kms.create_key(Description="keyproof evidence")["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/keyproof-evidence", TargetKeyId=key)
    signer = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec="ECC_NIST_P256")["KeyMetadata"]["Arn"]
    s3 = client(endpoint, "s3")
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(
        Bucket=BUCKET,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    s3.put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={"Rules": [{
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key,
            },
            "BucketKeyEnabled": True,
        }]},
    )
    s3.put_public_access_block(
        Bucket=BUCKET,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True, "IgnorePublicAcls": True,
            "BlockPublicPolicy": True, "RestrictPublicBuckets": True,
        },
    )
    return {"accounts": [MANAGEMENT, *members], "clusters": clusters, "key": key,
            "signer": signer}


def check_setup(endpoint, organization):
    """What the run relies on: moto keeps accounts apart and lists them all."""
    listed = {
        account["Id"]: account
        for page in client(endpoint, "organizations").get_paginator("list_accounts").paginate()
        for account in page["Accounts"]
    }
    check(set(listed) == set(organization["accounts"]), f"moto lists {sorted(listed)}")
    described = client(endpoint, "organizations").describe_organization()["Organization"]
    check(described["MasterAccountId"] == MANAGEMENT, "the management account is moto's default")
    for account in organization["accounts"]:
        credentials = moto.assume(endpoint, f"arn:aws:iam::{account}:role/{ROLE}")
        caller = client(endpoint, "sts", credentials).get_caller_identity()
        check(caller["Account"] == account, f"the role of {account} belongs to {caller['Account']}")
        emr = client(endpoint, "emr", credentials)
        found = {cluster["Id"] for cluster in emr.list_clusters()["Clusters"]}
        check(found == organization["clusters"][account], f"clusters of {account}: {found}")
    fields = sorted(set().union(*listed.values()))
    print(f"organization of {len(listed)} accounts, fields {', '.join(fields)}")


def run_and_verify(binary, endpoint, organization, work):
    """One sealed run, its verification, and the refusals that guard them."""
    archive = f"s3://{BUCKET}/{PREFIX}"
    def keyproof(*arguments, **settings):
        return moto.keyproof(
            binary, work, *arguments, KEYPROOF_ARCHIVE_LOCK_DAYS=str(LOCK_DAYS),
            KEYPROOF_LIST_OBJECTS="1000", KEYPROOF_SAMPLER_ROLE_NAME=ROLE, **settings)

    signing_key = moto.signing_key(work)
    run = [
        "run", "--archive", archive, "--endpoint-url", endpoint, "--regions", REGION,
        "--role-name", ROLE, "--signing-key", signing_key,
        "--archive-kms-key", organization["key"],
        "--work-dir", os.path.join(work, "journal"), "--state-dir", os.path.join(work, "state"),
    ]
    refused = keyproof(*run)
    check(refused.returncode not in (EXIT_SUCCESS, EXIT_PARTIAL),
          "an empty s3 prefix without --create-archive starts nothing")
    check(not stored(endpoint), "a refused run leaves no object behind")

    refused = keyproof(*run, "--create-archive")
    check(refused.returncode == EXIT_USAGE and "tls_only" in refused.stdout,
          "a bucket without a policy is refused")
    check(not stored(endpoint), "a refused run leaves no object behind")
    run.append("--allow-unprotected")
    sealed = keyproof(*run, "--create-archive")
    check(sealed.returncode == EXIT_PARTIAL, f"the run seals as PARTIAL, exit {sealed.returncode}")

    remembered = keyproof("verify", archive, "--endpoint-url", endpoint,
                          "--state-dir", os.path.join(work, "state"))
    check(remembered.returncode == EXIT_SUCCESS, "this machine remembers the archive it created")
    genesis = body(endpoint, f"{PREFIX}/chain/0000000001.dsse.json")
    stranger = ["verify", archive, "--endpoint-url", endpoint,
                "--state-dir", os.path.join(work, "another-machine")]
    pinned = keyproof(*stranger, "--pin", hashlib.sha256(genesis).hexdigest())
    check(pinned.returncode == EXIT_SUCCESS, "another machine verifies with the pin of entry 1")
    wrong = keyproof(*stranger[:-1], os.path.join(work, "third-machine"),
                     "--pin", "0" * 64)
    check(wrong.returncode == EXIT_UNVERIFIED, "a wrong pin fails")

    archive = f"s3://{BUCKET}/{PREFIX_SIGNED_BY_KMS}"
    run[run.index("--archive") + 1] = archive
    run[run.index("--signing-key") + 1] = organization["signer"]
    sealed = keyproof(*run, "--create-archive", KEYPROOF_SIGNING_MODE="raw")
    check(sealed.returncode == EXIT_PARTIAL, f"KMS signs the seal, exit {sealed.returncode}")
    verified = keyproof("verify", archive, "--endpoint-url", endpoint,
                        "--state-dir", os.path.join(work, "state"))
    check(verified.returncode == EXIT_SUCCESS, "what KMS signed verifies")
    kms = client(endpoint, "kms").get_public_key(KeyId=organization["signer"])["PublicKey"]
    keyid = hashlib.sha256(kms).hexdigest()
    pem = body(endpoint, f"{PREFIX_SIGNED_BY_KMS}/keys/{keyid}.pem").decode().splitlines()
    check(base64.b64decode("".join(pem[1:-1])) == kms, "the archive's public key is KMS's own")


def stored(endpoint):
    """Every version of every object below the archive's prefix."""
    pages = client(endpoint, "s3").get_paginator("list_object_versions").paginate(
        Bucket=BUCKET, Prefix=f"{PREFIX}/")
    return [version for page in pages for version in page.get("Versions", [])]


def body(endpoint, name):
    return client(endpoint, "s3").get_object(Bucket=BUCKET, Key=name)["Body"].read()


def check_bucket(endpoint, organization):
    """Each object was created once, under our key, locked, with the checksum of its bytes."""
    s3 = client(endpoint, "s3")
    versions = stored(endpoint)
    names = [version["Key"] for version in versions]
    check(len(names) == len(set(names)), "no object was written twice")
    for name in names:
        head = s3.head_object(Bucket=BUCKET, Key=name, ChecksumMode="ENABLED")
        check(head.get("ServerSideEncryption") == "aws:kms", f"{name} is under SSE-KMS")
        check(head.get("SSEKMSKeyId") == organization["key"], f"{name} is under the archive's key")
        check(head.get("ObjectLockMode") in ("COMPLIANCE", "GOVERNANCE"), f"{name} is locked")
        until = head["ObjectLockRetainUntilDate"] - head["LastModified"]
        check(until > datetime.timedelta(days=LOCK_DAYS - 1), f"{name} is locked for {until}")
        digest = base64.b64encode(hashlib.sha256(body(endpoint, name)).digest()).decode()
        check(head.get("ChecksumSHA256") == digest, f"{name} has the SHA-256 of its bytes")
    chain = f"{PREFIX}/chain/0000000001.dsse.json"
    version = next(v["VersionId"] for v in versions if v["Key"] == chain)
    try:
        s3.delete_object(Bucket=BUCKET, Key=chain, VersionId=version)
        check(False, "a sealed entry cannot be deleted")
    except ClientError as refusal:
        check(refusal.response["Error"]["Code"] == "AccessDenied", "deletion is denied by the lock")
    print(f"{len(names)} objects: created once, SSE-KMS, locked, checksums right")
    return names


def check_requests(log):
    """What was asked of moto: with Regions named, nobody lists Regions; and nothing that it cannot do
    but the listing of security configurations."""
    check("list-regions" not in log, "named Regions are not listed")
    unknown = re.findall(r"NotImplementedError: The (\w+) action", log)
    check(set(unknown) == {"list_security_configurations"}, f"moto lacks {sorted(set(unknown))}")
    errors = re.findall(r'" 5\d\d -', log)
    check(len(errors) == len(unknown), f"{len(errors)} answers of 5xx, {len(unknown)} explained")
    print(f"{len(unknown)} attempts to list security configurations, no other error of moto")


def check_evidence(endpoint, organization, names, work):
    """DuckDB finds every account and every cluster, and the gap that made the run PARTIAL."""
    folder = os.path.join(work, "evidence")
    for name in names:
        if name.endswith(".parquet"):
            path = os.path.join(folder, os.path.relpath(name, f"{PREFIX}/evidence"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(body(endpoint, name))
    sql = duckdb.connect()
    sql.execute("SET TimeZone='UTC'")

    def rows(columns, dataset, condition="true"):
        return sql.execute(
            f"SELECT {columns} FROM read_parquet('{folder}/{dataset}/v1/**/*.parquet') "
            f"WHERE {condition}").fetchall()

    accounts = {row[0] for row in rows("account_id", "account")}
    check(accounts == set(organization["accounts"]), f"accounts in evidence: {sorted(accounts)}")
    expected = {
        (account, REGION, cluster)
        for account, clusters in organization["clusters"].items() for cluster in clusters
    }
    found = set(rows("account_id, region, cluster_id", "emr_cluster"))
    check(found == expected, f"clusters in evidence: {sorted(found)}")
    judged = {row[0] for row in rows("cluster_id", "verdict")}
    check(judged == {cluster for _, _, cluster in expected}, f"clusters judged: {sorted(judged)}")
    gaps = {row[0] for row in rows(
        "account_id", "coverage",
        "source = 'security_configurations' AND outcome NOT IN ('collected', 'empty')")}
    check(gaps == set(organization["accounts"]),
          f"security configurations could not be listed in any account: {sorted(gaps)}")
    listed = set(rows(
        "account_id, prefix, source, encryption, is_latest, versions, bytes, complete",
        "log_object_summary"))
    check(listed == {
        (account, "emr/", "listing", "unknown", is_latest, 1, size, True)
        for account in organization["accounts"] for is_latest, size in ((True, 2), (False, 1))
    }, f"versions listed: {sorted(listed)}")
    archive = dict(rows("check_name, outcome", "archive"))
    check(archive == ARCHIVE_CHECKS, f"checks of the archive in evidence: {archive}")
    print(f"evidence: {len(accounts)} accounts, {len(found)} clusters, gaps named")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", help="path of the keyproof binary")
    parser.add_argument("--setup-only", action="store_true", help="build the organization only")
    options, _ = parser.parse_known_args()
    if not options.setup_only and not options.binary:
        parser.error("--binary PATH or --setup-only is needed")

    with tempfile.TemporaryDirectory(prefix="keyproof-moto-") as work:
        server = moto.Moto(work)
        started = time.monotonic()
        try:
            organization = build_organization(server.endpoint)
            check_setup(server.endpoint, organization)
            if options.setup_only:
                return
            run_and_verify(os.path.abspath(options.binary), server.endpoint, organization, work)
            names = check_bucket(server.endpoint, organization)
            check_evidence(server.endpoint, organization, names, work)
            check_requests(server.requests())
            print(f"moto: all held, {time.monotonic() - started:.1f} s")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
