#!/usr/bin/env python3
"""Reads the sandbox with boto3, so that it is not only understood by its own client.

Starts `keyproof sandbox` on a free loopback port and checks, as an AWS client that knows nothing of
this project:

- S3, on the evidence bucket: every operation of one object and of many, Object Lock, checksums;
- the front end's refusals: credentials, clocks, broken requests;
- Organizations, STS, account, EMR, KMS, CloudTrail and IAM in every account: who can be assumed, which clusters there
  are, as the sandbox's own statement of the truth has it;
- the sampler role, which lists and HEADs log objects, and what the roles are refused;
- inventories and completion reports, which the source-reader role lists and GETs; jobs of S3 Control;
- KMS signatures of a digest, which OpenSSL verifies with the public key that KMS gives.

Prints `N passed, N failed` and ends with 1 if any check failed.

Usage: sandbox_boto3.py --binary target/debug/keyproof
"""

import argparse
import base64
import csv
import datetime as dt
import gzip
import hashlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

PASSED, FAILED = [], []


def check(name, ok, detail=""):
    (PASSED if ok else FAILED).append(name)
    if not ok:
        print(f"FAILED {name}: {detail}")


def refused(name, code, call, status=None):
    """The call must fail with this error code (and HTTP status)."""
    try:
        call()
    except ClientError as error:
        got = error.response["Error"]["Code"]
        http_status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        check(name, got == code and status in (None, http_status), f"{got} {http_status}, expected {code} {status}")
    except Exception as error:  # a parse failure is a finding too
        check(name, False, repr(error))
    else:
        check(name, False, f"succeeded, expected {code}")


def attempt(name, call):
    """The call must succeed; gives its answer, or None."""
    try:
        answer = call()
    except Exception as error:
        check(name, False, repr(error))
        return None
    check(name, True)
    return answer


class Sandbox:
    """The sandbox as one account sees it from one Region. Any key id with an account's digits in it
    belongs to that account."""

    def __init__(self, url, account, region):
        self.url, self.account, self.region = url, account, region

    def client(self, service, account=None, region=None, token=None, key_id=None, secret="any", **config):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region or self.region,
            aws_access_key_id=key_id or f"AKIA{account or self.account}TEST",
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
        )

    def assume(self, account, role="keyproof-reader"):
        """A function that makes clients with a role of an account."""
        got = self.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="boto3")["Credentials"]
        return lambda service, region=None: self.client(
            service, region=region, key_id=got["AccessKeyId"], secret=got["SecretAccessKey"], token=got["SessionToken"])


def sha256_of(body):
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def s3_objects(sandbox, bucket, prefix):
    s3 = sandbox.client("s3")
    key_arn = f"arn:aws:kms:{sandbox.region}:{sandbox.account}:key/11111111-2222-3333-4444-555555555555"
    until = dt.datetime.now(dt.timezone.utc).replace(microsecond=0) + dt.timedelta(days=2)
    body = b"one line\n" * 100

    def create(key, data=body, **more):
        return s3.put_object(
            Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", ChecksumSHA256=sha256_of(data),
            ServerSideEncryption="aws:kms", SSEKMSKeyId=key_arn, BucketKeyEnabled=True, **more,
        )

    locked = f"{prefix}locked"
    put = attempt("PutObject", lambda: create(
        locked, ExpectedBucketOwner=sandbox.account, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until,
        Metadata={"run": "r1"}, ContentType="application/x-run"))
    if put is None:
        return
    check("PutObject echoes the checksum", put.get("ChecksumSHA256") == sha256_of(body), put)
    check("PutObject echoes the key", put.get("SSEKMSKeyId") == key_arn and put.get("BucketKeyEnabled") is True, put)
    check("PutObject gives a version", bool(put.get("VersionId")), put)
    refused("a second create", "PreconditionFailed", lambda: create(locked), 412)
    refused("a wrong checksum", "BadDigest", lambda: s3.put_object(
        Bucket=bucket, Key=f"{prefix}bad", Body=b"a", ChecksumSHA256=sha256_of(b"b")), 400)
    refused("a foreign owner", "AccessDenied", lambda: s3.put_object(
        Bucket=bucket, Key=f"{prefix}bad", Body=b"a", ExpectedBucketOwner="000000000000"), 403)
    refused("a lock in the past", "InvalidArgument", lambda: create(
        f"{prefix}bad", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until - dt.timedelta(days=9)), 400)
    refused("a lock without its date", "InvalidArgument", lambda: create(f"{prefix}bad", ObjectLockMode="GOVERNANCE"), 400)
    unsummed = sandbox.client("s3", request_checksum_calculation="when_required")
    attempt("PutObject without any checksum", lambda: unsummed.put_object(Bucket=bucket, Key=f"{prefix}plain", Body=b"x"))
    # botocore computes two of them only with the package awscrt.
    algorithms = ["CRC32", "SHA1"] + (["CRC32C", "CRC64NVME"] if importlib.util.find_spec("awscrt") else [])
    for algorithm in algorithms:
        answer = attempt(f"PutObject with {algorithm}", lambda: s3.put_object(
            Bucket=bucket, Key=f"{prefix}sum-{algorithm}", Body=body, ChecksumAlgorithm=algorithm))
        check(f"checksum {algorithm}", answer and answer.get(f"Checksum{algorithm}"), answer)

    def in_chunks():
        # An unsigned payload with a trailing checksum, as SDKs send streams over TLS.
        name, data = f"{prefix}chunked", b"x" * 70000
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (data[:65536], data[65536:]))
        raw = chunks + b"0\r\nx-amz-checksum-sha256:" + sha256_of(data).encode() + b"\r\n\r\n"
        status, headers, text = raw_request(sandbox, "PUT", f"/{bucket}/{urllib.parse.quote(name)}", "s3", raw, {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": str(len(data)), "x-amz-trailer": "x-amz-checksum-sha256"})
        assert status == 200 and headers.get("x-amz-checksum-sha256") == sha256_of(data), (status, text)
        got = s3.get_object(Bucket=bucket, Key=name)
        assert got["Body"].read() == data and "ContentEncoding" not in got
    attempt("an aws-chunked body", in_chunks)

    wins = []

    def race():
        try:
            create(f"{prefix}race")
            wins.append(1)
        except ClientError:
            pass
    threads = [threading.Thread(target=race) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    check("one of eight creators wins", len(wins) == 1, wins)

    got = attempt("GetObject", lambda: s3.get_object(Bucket=bucket, Key=locked, ChecksumMode="ENABLED"))
    if got:
        check("GetObject body and metadata", got["Body"].read() == body and got["Metadata"] == {"run": "r1"}
              and got["ContentType"] == "application/x-run", got)
    part = attempt("GetObject range", lambda: s3.get_object(Bucket=bucket, Key=locked, Range="bytes=4-7"))
    check("the range", part and part["Body"].read() == body[4:8] and part["ContentRange"] == f"bytes 4-7/{len(body)}", part)
    refused("a range past the end", "InvalidRange", lambda: s3.get_object(Bucket=bucket, Key=locked, Range="bytes=99999-"), 416)
    refused("GetObject of nothing", "NoSuchKey", lambda: s3.get_object(Bucket=bucket, Key=f"{prefix}none"), 404)
    refused("HeadObject of nothing", "404", lambda: s3.head_object(Bucket=bucket, Key=f"{prefix}none"), 404)
    refused("a version that never was", "NoSuchVersion", lambda: s3.get_object(Bucket=bucket, Key=locked, VersionId="nope"), 404)
    head = attempt("HeadObject", lambda: s3.head_object(Bucket=bucket, Key=locked, ChecksumMode="ENABLED"))
    if head:
        check("HeadObject length", head["ContentLength"] == len(body), head)
        check("HeadObject checksum", head.get("ChecksumSHA256") == sha256_of(body), head)
        check("HeadObject lock", head.get("ObjectLockMode") == "COMPLIANCE" and head.get("ObjectLockRetainUntilDate") == until, head)
        check("HeadObject key", head.get("SSEKMSKeyId") == key_arn and head["ServerSideEncryption"] == "aws:kms", head)
        check("HeadObject version", head.get("VersionId") == put["VersionId"], head)
    silent = sandbox.client("s3", response_checksum_validation="when_required")
    head = attempt("HeadObject without checksum mode", lambda: silent.head_object(Bucket=bucket, Key=locked))
    check("no checksum unasked", head and "ChecksumSHA256" not in head, head)

    version = put["VersionId"]
    refused("deleting a locked version", "AccessDenied", lambda: s3.delete_object(
        Bucket=bucket, Key=locked, VersionId=version, BypassGovernanceRetention=True), 403)
    retention = attempt("GetObjectRetention", lambda: s3.get_object_retention(Bucket=bucket, Key=locked))
    check("its date", retention and retention["Retention"]["RetainUntilDate"] == until, retention)
    set_retention = lambda mode, days: s3.put_object_retention(
        Bucket=bucket, Key=locked, Retention={"Mode": mode, "RetainUntilDate": until + dt.timedelta(days=days)})
    refused("shortening COMPLIANCE", "AccessDenied", lambda: set_retention("COMPLIANCE", -1), 403)
    refused("weakening COMPLIANCE", "AccessDenied", lambda: set_retention("GOVERNANCE", 5), 403)
    attempt("extending COMPLIANCE", lambda: set_retention("COMPLIANCE", 1))

    marker = attempt("DeleteObject leaves a marker", lambda: s3.delete_object(Bucket=bucket, Key=locked))
    check("the marker", marker and marker.get("DeleteMarker") is True and marker.get("VersionId"), marker)
    refused("GetObject under a marker", "NoSuchKey", lambda: s3.get_object(Bucket=bucket, Key=locked), 404)
    if marker:
        refused("GetObject of the marker", "MethodNotAllowed", lambda: s3.get_object(
            Bucket=bucket, Key=locked, VersionId=marker["VersionId"]), 405)
    attempt("GetObject of the version beneath", lambda: s3.get_object(Bucket=bucket, Key=locked, VersionId=version))
    attempt("create over a marker", lambda: create(locked, b"again"))
    if marker:
        attempt("deleting the marker", lambda: s3.delete_object(Bucket=bucket, Key=locked, VersionId=marker["VersionId"]))


def s3_lists(sandbox, bucket, prefix):
    s3 = sandbox.client("s3")
    keys = sorted(
        [f"{prefix}list/{n:03}" for n in range(25)]
        + [f"{prefix}list/dir{n}/{m}" for n in range(3) for m in range(3)]
        + [f"{prefix}list/{name}" for name in ("a b+c&d", "ü/ñ", "</Key><Key>x", "per%20cent", "'\"quote", "plus+plus", "\U0001f511")],
        key=lambda key: key.encode())
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in keys:
        check(f"GetObject {key!r}", s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode())

    def listed(page_size, **more):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=f"{prefix}list/", PaginationConfig={"PageSize": page_size}, **more)
        pages = list(pages)
        return ([item["Key"] for page in pages for item in page.get("Contents", [])],
                [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])])
    for size in (1, 2, 7, 1000):
        got = attempt(f"ListObjectsV2 by {size}", lambda: listed(size))
        check(f"all keys by {size}", got and got[0] == keys, got)
        got = attempt(f"ListObjectsV2 with delimiter by {size}", lambda: listed(size, Delimiter="/"))
        base = f"{prefix}list/"
        flat = [key for key in keys if "/" not in key[len(base):]]
        rolled = sorted({base + key[len(base):].split("/")[0] + "/" for key in keys if "/" in key[len(base):]}, key=str.encode)
        check(f"keys and prefixes by {size}", got == (flat, rolled), got)
    got = attempt("StartAfter", lambda: listed(1000, StartAfter=keys[4]))
    check("after the key", got and got[0] == keys[5:], got)
    refused("a broken token", "InvalidArgument", lambda: s3.list_objects_v2(Bucket=bucket, ContinuationToken="!"), 400)
    none = attempt("MaxKeys 0", lambda: s3.list_objects_v2(Bucket=bucket, MaxKeys=0))
    check("an empty page", none and none["KeyCount"] == 0 and not none["IsTruncated"], none)

    many = f"{prefix}versions/k"
    ids = [s3.put_object(Bucket=bucket, Key=many, Body=b"%d" % n)["VersionId"] for n in range(4)]
    ids.append(s3.delete_object(Bucket=bucket, Key=many)["VersionId"])
    other = s3.put_object(Bucket=bucket, Key=many + "2", Body=b"")["VersionId"]
    for size in (1, 2, 3, 1000):
        def versions():
            pages = s3.get_paginator("list_object_versions").paginate(
                Bucket=bucket, Prefix=f"{prefix}versions/", PaginationConfig={"PageSize": size})
            found, markers = [], []
            for page in pages:
                found += [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])]
                markers += [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("DeleteMarkers", [])]
            return found, markers
        got = attempt(f"ListObjectVersions by {size}", versions)
        expected = ([(many, i, False) for i in ids[3::-1]] + [(many + "2", other, True)], [(many, ids[4], True)])
        check(f"versions by {size}", got == expected, got)
    rolled = attempt("ListObjectVersions with delimiter", lambda: s3.list_object_versions(
        Bucket=bucket, Prefix=f"{prefix}list/", Delimiter="/", MaxKeys=1000))
    check("rolled up", rolled and len(rolled["CommonPrefixes"]) == 5, rolled and rolled.get("CommonPrefixes"))


def s3_buckets(sandbox, bucket):
    s3 = sandbox.client("s3")
    plain = attempt("ListBuckets", lambda: s3.list_buckets())
    names = [b["Name"] for b in (plain or {}).get("Buckets", [])]
    check("buckets are sorted", names == sorted(names) and bucket in names, names)
    pages = attempt("ListBuckets by 1", lambda: list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 1})))
    check("all buckets by 1", pages and [b["Name"] for p in pages for b in p.get("Buckets", [])] == names, pages)
    here = attempt("ListBuckets of a Region", lambda: s3.list_buckets(BucketRegion=sandbox.region))
    check("with their Region", here and here["Buckets"] and all(b["BucketRegion"] == sandbox.region for b in here["Buckets"]), here)
    head = attempt("HeadBucket", lambda: s3.head_bucket(Bucket=bucket))
    check("HeadBucket tells the Region", head and head["BucketRegion"] == sandbox.region, head)
    refused("HeadBucket of nothing", "404", lambda: s3.head_bucket(Bucket="no-such-bucket-here"), 404)
    refused("a bucket that is not there", "NoSuchBucket", lambda: s3.list_objects_v2(Bucket="no-such-bucket-here"), 404)
    elsewhere = "ap-southeast-2" if sandbox.region != "ap-southeast-2" else "us-west-2"
    status, headers, text = raw_request(sandbox, "GET", f"/{bucket}?list-type=2", "s3", b"", {}, region=elsewhere)
    check("the wrong Region", status == 301 and headers.get("x-amz-bucket-region") == sandbox.region and "PermanentRedirect" in text, text)
    location = attempt("GetBucketLocation", lambda: sandbox.client("s3", region=elsewhere).get_bucket_location(Bucket=bucket))
    check("the location", location and (location["LocationConstraint"] or "us-east-1") == sandbox.region, location)
    encryption = attempt("GetBucketEncryption", lambda: s3.get_bucket_encryption(Bucket=bucket))
    rule = encryption and encryption["ServerSideEncryptionConfiguration"]["Rules"][0]
    check("a default algorithm", rule and rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms"), rule)
    versioning = attempt("GetBucketVersioning", lambda: s3.get_bucket_versioning(Bucket=bucket))
    check("versioning", versioning and versioning.get("Status") == "Enabled", versioning)
    lock = attempt("GetObjectLockConfiguration", lambda: s3.get_object_lock_configuration(Bucket=bucket))
    check("lock", lock and lock["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled", lock)
    attempt("GetPublicAccessBlock", lambda: s3.get_public_access_block(Bucket=bucket))
    ownership = attempt("GetBucketOwnershipControls", lambda: s3.get_bucket_ownership_controls(Bucket=bucket))
    check("ownership", ownership and ownership["OwnershipControls"]["Rules"][0]["ObjectOwnership"], ownership)
    try:
        check("GetBucketPolicy", s3.get_bucket_policy(Bucket=bucket)["Policy"].startswith("{"))
    except ClientError as error:
        check("GetBucketPolicy", error.response["Error"]["Code"] == "NoSuchBucketPolicy", error)
    refused("GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration", lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket), 404)
    refused("GetBucketReplication", "ReplicationConfigurationNotFoundError", lambda: s3.get_bucket_replication(Bucket=bucket), 404)
    check("no inventories", "InventoryConfigurationList" not in (attempt(
        "ListBucketInventoryConfigurations", lambda: s3.list_bucket_inventory_configurations(Bucket=bucket)) or {"InventoryConfigurationList": 1}))
    refused("GetBucketMetadataConfiguration", "MetadataConfigurationNotFound", lambda: s3.get_bucket_metadata_configuration(Bucket=bucket), 404)
    refused("an operation that is not served", "NotImplemented", lambda: s3.create_multipart_upload(Bucket=bucket, Key="k"), 501)


def s3_settings(owner):
    """Lifecycle, replication, inventories and metadata tables of the central log bucket."""
    s3 = owner.client("s3")
    central = [b["Name"] for b in s3.list_buckets(BucketRegion=owner.region)["Buckets"] if b["Name"].startswith("central-emr-logs-")]
    check("the owner has a central log bucket", central, owner.account)
    if not central:
        return
    ask = {"Bucket": central[0], "ExpectedBucketOwner": owner.account}
    lifecycle = attempt("lifecycle", lambda: s3.get_bucket_lifecycle_configuration(**ask))
    rules = lifecycle and [(r["Status"], r["Expiration"]["Days"]) for r in lifecycle["Rules"]]
    check("lifecycle rules", rules == [("Enabled", 2557), ("Disabled", 1)], rules)
    replication = attempt("replication", lambda: s3.get_bucket_replication(**ask))
    rules = replication and [(r["Status"], r["Destination"]["Bucket"]) for r in replication["ReplicationConfiguration"]["Rules"]]
    check("replication rules", rules == [("Enabled", f"arn:aws:s3:::{central[0]}-copies")], rules)
    inventories = attempt("inventories", lambda: s3.list_bucket_inventory_configurations(**ask))
    on = inventories and [i["IsEnabled"] for i in inventories["InventoryConfigurationList"]]
    check("inventory configurations", on == [True, False] and not inventories["IsTruncated"], inventories)
    table = attempt("metadata", lambda: s3.get_bucket_metadata_configuration(**ask))
    result = table and table["GetBucketMetadataConfigurationResult"]["MetadataConfigurationResult"]
    check("metadata table", result and result["JournalTableConfigurationResult"]["TableStatus"] == "ACTIVE", table)
    refused("settings for another expected owner", "AccessDenied", lambda: s3.get_bucket_replication(
        Bucket=central[0], ExpectedBucketOwner="000000000000"), 403)


def raw_request(sandbox, method, target, service, body, headers, region=None, when=None, credential=None):
    """One HTTP request with a scope but no real signature; gives status, headers, text."""
    when = when or dt.datetime.now(dt.timezone.utc)
    scope = f"{sandbox.account and f'AKIA{sandbox.account}TEST'}/{when:%Y%m%d}/{region or sandbox.region}/{service}/aws4_request"
    url = urllib.parse.urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    every = {"x-amz-date": f"{when:%Y%m%dT%H%M%SZ}"}
    if credential != "":
        every["authorization"] = f"AWS4-HMAC-SHA256 Credential={credential or scope}, SignedHeaders=host, Signature=00"
    connection.request(method, target, body, {**every, **headers})
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace")
    found = {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return answer.status, found, text


def wire(sandbox):
    emr, sts, s3 = (sandbox.client(name, account="000000000009") for name in ("emr", "sts", "s3"))
    refused("EMR for an account of nobody", "UnrecognizedClientException", lambda: emr.list_clusters(), 400)
    refused("STS for an account of nobody", "InvalidClientTokenId", lambda: sts.get_caller_identity(), 403)
    refused("S3 for an account of nobody", "InvalidAccessKeyId", lambda: s3.list_buckets(), 403)
    bad = sandbox.client("kms", key_id=f"ASIA{sandbox.account}TEST", token="garbage")
    refused("a session that was never issued", "UnrecognizedClientException", lambda: bad.list_keys(), 400)
    target = {"x-amz-target": "ElasticMapReduce.ListClusters", "content-type": "application/x-amz-json-1.1"}
    status, headers, text = raw_request(sandbox, "POST", "/", "elasticmapreduce", b"{}", target, credential="")
    check("no credentials", status == 400 and "MissingAuthenticationTokenException" in text, text)
    check("a request id and a date", headers.get("x-amzn-requestid") and headers.get("date"), headers)
    past = dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=20)
    _, _, text = raw_request(sandbox, "POST", "/", "elasticmapreduce", b"{}", target, when=past)
    check("a clock that is late", "InvalidSignatureException" in text, text)
    status, _, text = raw_request(sandbox, "GET", "/", "s3", b"", {}, when=past)
    check("a clock that is late, S3", status == 403 and "RequestTimeTooSkewed" in text, text)
    for name, method, path, service, body, more in (
        ("a broken escape", "GET", "/b/%zz", "s3", b"", {}),
        ("bytes that are no text", "GET", "/b/%ff", "s3", b"", {}),
        ("a target of nothing", "POST", "/", "kms", b"{}", {"x-amz-target": "TrentService."}),
        ("a service that is not there", "POST", "/", "ec2", b"Action=DescribeInstances", {}),
        ("a form that is none", "POST", "/", "sts", b"\xff\xfe", {}),
        ("a chunked body that breaks off", "PUT", "/b/k", "s3", b"zz", {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}),
    ):
        status, _, text = raw_request(sandbox, method, path, service, body, more)
        check(name, 400 <= status < 500, (status, text))


def organization(sandbox, truth):
    """Organizations and STS from the management account; gives a maker of clients per account."""
    organizations = sandbox.client("organizations")
    described = attempt("DescribeOrganization", lambda: organizations.describe_organization())
    check("an organization id", described and described["Organization"]["Id"].startswith("o-"), described)
    accounts = attempt("ListAccounts", lambda: [
        a for page in organizations.get_paginator("list_accounts").paginate() for a in page["Accounts"]]) or []
    states = sorted((a["Id"], a["State"]) for a in accounts)
    check("accounts and states", states == sorted((a["account_id"], a["state"]) for a in truth["accounts"]), states)
    check("account fields", all(a.get("Arn") and a.get("Name") and a.get("JoinedTimestamp") for a in accounts))
    roots = attempt("ListRoots", lambda: organizations.list_roots()["Roots"]) or []
    for root in roots[:1]:
        attempt("ListOrganizationalUnitsForParent", lambda: organizations.list_organizational_units_for_parent(ParentId=root["Id"]))
    identity = attempt("GetCallerIdentity", lambda: sandbox.client("sts").get_caller_identity())
    check("the caller's account", identity and identity["Account"] == sandbox.account, identity)

    clients = {sandbox.account: lambda service, region=None: sandbox.client(service, region=region)}
    for account in truth["accounts"]:
        number = account["account_id"]
        if number == sandbox.account:
            continue
        if not account["reachable"]:
            refused(f"AssumeRole in {number}", "AccessDenied", lambda: sandbox.assume(number), 403)
            continue
        client = attempt(f"AssumeRole in {number}", lambda: sandbox.assume(number))
        if client is not None:
            clients[number] = client
            identity = client("sts").get_caller_identity()
            check(f"assumed in {number}", identity["Account"] == number and ":assumed-role/" in identity["Arn"], identity)
    check("AssumeRole somewhere", len(clients) > 1, accounts[:3])
    return clients


def may_deny(name, call):
    """The call must succeed or be denied; gives its answer, or None. Denials are part of the
    generated organization."""
    try:
        return call()
    except ClientError as error:
        check(name, error.response["Error"]["Code"] == "AccessDeniedException", error)
    except Exception as error:
        check(name, False, repr(error))
    return None


def events(account, region, trail, truth):
    """CloudTrail's event history by one name, page by page, and the trails of the account. Gives the number
    of launch events."""
    here = f"in {account} {region}"
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "RunJobFlow"}]
    pages = may_deny(f"LookupEvents {here}", lambda: list(trail.get_paginator("lookup_events").paginate(
        LookupAttributes=by_name, PaginationConfig={"PageSize": 3})))
    if pages is None:
        return 0
    found = [e for page in pages for e in page["Events"]]
    check(f"pages of events {here}", all(len(page["Events"]) <= 3 for page in pages))
    check(f"each event once {here}", len({e["EventId"] for e in found}) == len(found))
    times = [e["EventTime"] for e in found]
    check(f"newest events first {here}", times == sorted(times, reverse=True), times)
    records = {e["EventId"]: json.loads(e["CloudTrailEvent"]) for e in found}
    check(f"records {here}", all(
        (r["eventID"], r["eventName"], r["recipientAccountId"], r["awsRegion"]) == (i, "RunJobFlow", account, region)
        for i, r in records.items()))
    stated = {x["event_id"]: x for x in truth["launches"] if (x["account_id"], x["region"]) == (account, region)}
    check(f"events of the truth {here}", set(stated) <= set(records), set(stated) - set(records))
    for i, said in stated.items():
        record = records.get(i, {})
        check(f"parameters of {i}", (record.get("requestParameters") is not None) == said["params_available"])
        check(f"answer to {i}", ("errorCode" not in record) == said["class"].startswith("accepted"), record.get("errorCode"))
    if times:
        middle = times[len(times) // 2]
        part = attempt(f"events of a time {here}", lambda: trail.lookup_events(
            LookupAttributes=by_name, EndTime=middle, MaxResults=50)["Events"])
        check(f"no event after its time {here}", part and all(e["EventTime"] <= middle for e in part))
    refused(f"two attributes {here}", "InvalidLookupAttributesException",
            lambda: trail.lookup_events(LookupAttributes=by_name * 2), 400)
    refused(f"a token of nobody {here}", "InvalidNextTokenException", lambda: trail.lookup_events(NextToken="x"), 400)
    for shown in trail.describe_trails()["trailList"]:
        status = attempt(f"status of {shown['Name']} {here}", lambda: trail.get_trail_status(Name=shown["TrailARN"]))
        check(f"{shown['Name']} records or was stopped", status and status["IsLogging"] == ("StopLoggingTime" not in status))
        selectors = trail.get_event_selectors(TrailName=shown["TrailARN"])["EventSelectors"]
        check(f"selectors of {shown['Name']}", selectors[0]["IncludeManagementEvents"])
    refused(f"status of no trail {here}", "TrailNotFoundException", lambda: trail.get_trail_status(Name="none"), 400)
    return len(found)


def reads(clients, truth):
    """EMR and KMS in every account that can be assumed: the clusters are those of the truth."""
    expected = {(c["account_id"], c["region"], c["cluster_id"]): c for c in truth["clusters"]}
    found, keys, configurations, launches = {}, 0, 0, 0
    for account, client in clients.items():
        usable = ["ENABLED", "ENABLED_BY_DEFAULT", "DISABLING"]
        regions = may_deny(f"ListRegions in {account}", lambda: client("account").list_regions(
            RegionOptStatusContains=usable)["Regions"]) or []
        check(f"Regions of {account}", all(r["RegionOptStatus"] in usable for r in regions), regions)
        for region in [r["RegionName"] for r in regions]:
            here = f"in {account} {region}"
            emr, kms = client("emr", region), client("kms", region)
            listed = may_deny(f"ListClusters {here}", lambda: [
                c for page in emr.get_paginator("list_clusters").paginate() for c in page["Clusters"]])
            for cluster in listed or []:
                found[account, region, cluster["Id"]] = cluster
            for cluster in (listed or [])[:3]:
                described = may_deny(f"DescribeCluster {here}", lambda: emr.describe_cluster(ClusterId=cluster["Id"])["Cluster"])
                check(f"DescribeCluster {cluster['Id']}", described is None or (
                    described["Id"], described["Status"]["State"]) == (cluster["Id"], cluster["Status"]["State"]), described)
            if listed:
                refused(f"DescribeCluster of nothing {here}", "InvalidRequestException",
                        lambda: emr.describe_cluster(ClusterId="j-NONE"), 400)
            for cluster in (listed or [])[:3]:
                steps = may_deny(f"ListSteps {here}", lambda: [
                    s for page in emr.get_paginator("list_steps").paginate(ClusterId=cluster["Id"]) for s in page["Steps"]])
                created = [s["Status"]["Timeline"]["CreationDateTime"] for s in steps or []]
                check(f"ListSteps {cluster['Id']}", created == sorted(created, reverse=True), created)
            groups = may_deny(f"DescribeLogGroups {here}", lambda: [
                g["logGroupName"] for page in client("logs", region).get_paginator("describe_log_groups").paginate(
                    logGroupNamePrefix="/aws/emr/") for g in page["logGroups"]])
            check(f"DescribeLogGroups {here}", groups is None or groups == sorted(groups), groups)
            launches += events(account, region, client("cloudtrail", region), truth)
            names = may_deny(f"ListSecurityConfigurations {here}", lambda: [
                c["Name"] for page in emr.get_paginator("list_security_configurations").paginate()
                for c in page["SecurityConfigurations"]])
            for name in (names or [])[:3]:
                text = may_deny(f"DescribeSecurityConfiguration {here}", lambda: emr.describe_security_configuration(
                    Name=name)["SecurityConfiguration"])
                configurations += 1
                check(f"{name} {here} is JSON", text is None or isinstance(json.loads(text), dict), text)
            for key in (may_deny(f"ListKeys {here}", lambda: kms.list_keys()["Keys"]) or [])[:3]:
                keys += 1
                metadata = may_deny(f"DescribeKey {here}", lambda: kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"])
                check(f"DescribeKey {key['KeyId']}", metadata is None or metadata["Arn"] == key["KeyArn"], metadata)
                may_deny(f"GetKeyPolicy {here}", lambda: kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default"))
                may_deny(f"ListResourceTags {here}", lambda: kms.list_resource_tags(KeyId=key["KeyId"]))
                grants = may_deny(f"ListGrants {here}", lambda: [g for page in kms.get_paginator(
                    "list_grants").paginate(KeyId=key["KeyId"]) for g in page["Grants"]])
                check(f"grants {key['KeyId']}", len({g["GrantId"] for g in grants or []}) == len(grants or []), grants)
            aliases = may_deny(f"ListAliases {here}", lambda: [a for page in kms.get_paginator(
                "list_aliases").paginate() for a in page["Aliases"]])
            check(f"predefined aliases {here}", aliases is None or not aliases or any(
                "TargetKeyId" not in a for a in aliases if a["AliasName"].startswith("alias/aws/")), aliases)
            check(f"aliases have times {here}", all(
                a["LastUpdatedDate"] >= a["CreationDate"] for a in aliases or [] if "TargetKeyId" in a), aliases)
    check("clusters are those of the truth", set(found) == set(expected),
          f"missing {sorted(set(expected) - set(found))[:5]}, too many {sorted(set(found) - set(expected))[:5]}")
    for key in sorted(set(found) & set(expected)):
        ended = found[key]["Status"]["Timeline"].get("EndDateTime")
        ended_ms = ended and round(ended.timestamp() * 1000)
        check(f"state and end of {key[2]}", (found[key]["Status"]["State"], ended_ms) == (
            expected[key]["state"], expected[key]["ended_ms"]), found[key]["Status"])
    check("keys somewhere", keys > 0, keys)
    check("launches somewhere", launches > 0, launches)
    check("security configurations somewhere", configurations > 0, configurations)


def identities(clients):
    """IAM tells every role once, with decoded documents, over pages of any size; profiles lead to roles."""
    paged = 0
    for account, client in clients.items():
        iam = client("iam", "us-east-1")
        try:
            whole = [page for page in iam.get_paginator("get_account_authorization_details").paginate(
                PaginationConfig={"PageSize": 1000})]
        except ClientError as error:
            check(f"identities of {account}", error.response["Error"]["Code"] == "AccessDenied", error)
            continue
        roles = {r["Arn"]: r for page in whole for r in page["RoleDetailList"]}
        pages = list(iam.get_paginator("get_account_authorization_details").paginate(
            Filter=["Role"], PaginationConfig={"PageSize": 7}))
        names = [r["Arn"] for page in pages for r in page["RoleDetailList"]]
        paged += len(pages) > 2
        check(f"roles of {account} once", sorted(names) == sorted(roles), names)
        for role in roles.values():
            check(f"{role['Arn']} has an id", role["RoleId"].startswith("AROA"), role["RoleId"])
            for policy in role["RolePolicyList"]:
                check(f"{role['Arn']} {policy['PolicyName']}", isinstance(policy["PolicyDocument"]["Statement"], list), policy)
        node = [r for r in roles.values() for p in r["InstanceProfileList"] if p["InstanceProfileName"] == "emr-node"]
        check(f"the node role of {account}", [r["RoleName"] for r in node] == ["emr-node"], node)
        managed = {p["Arn"]: p for page in whole for p in page["Policies"]}
        for role in roles.values():
            for policy in role["AttachedManagedPolicies"]:
                versions = managed.get(policy["PolicyArn"], {}).get("PolicyVersionList", [])
                default = [v for v in versions if v["IsDefaultVersion"]]
                check(f"{policy['PolicyArn']} has one default version", len(default) == 1, versions)
        refused(f"a made-up marker in {account}", "ValidationError", lambda: iam.get_account_authorization_details(
            Marker="made-up"), 400)
    check("identities over several pages", paged > 0, paged)


def log_objects(sandbox, clients):
    """The sampler role lists and HEADs what clusters wrote, older versions too, and nothing more; the reader role does neither."""
    looked_at, under_a_key, without, older = 0, 0, 0, 0
    for account, reader in clients.items():
        if account == sandbox.account or looked_at >= 60:
            continue
        client = attempt(f"AssumeRole keyproof-sampler in {account}", lambda: sandbox.assume(account, "keyproof-sampler"))
        try:
            listed = reader("s3", "us-east-1").list_buckets(MaxBuckets=1000)["Buckets"]
        except ClientError as error:
            check(f"ListBuckets of {account}", error.response["Error"]["Code"] == "AccessDenied", error)
            continue
        owned = {b["Name"]: b["BucketRegion"] for b in listed}
        for region in sorted(set(owned.values())):
            emr = reader("emr", region)
            listed = may_deny(f"ListClusters of {account} {region}", lambda: emr.list_clusters()["Clusters"]) or []
            for cluster in listed[:12]:
                described = may_deny("DescribeCluster", lambda: emr.describe_cluster(ClusterId=cluster["Id"])["Cluster"]) or {}
                place = urllib.parse.urlparse(described.get("LogUri", ""))
                if client is None or place.netloc not in owned:
                    continue
                bucket, here = place.netloc, f"of {cluster['Id']}"
                prefix = "/".join(filter(None, [place.path.strip("/"), cluster["Id"]])) + "/"
                s3, own = client("s3", owned[bucket]), reader("s3", owned[bucket])
                ask = {"Bucket": bucket, "ExpectedBucketOwner": account}
                page = attempt(f"ListObjectsV2 {here}", lambda: s3.list_objects_v2(Prefix=prefix, MaxKeys=50, **ask))
                keys = [o["Key"] for o in (page or {}).get("Contents", [])]
                looked_at += 1
                check(f"objects {here} lie below the prefix, in order",
                      page and keys == sorted(keys) and all(k.startswith(prefix) for k in keys) and page["KeyCount"] == len(keys), keys)
                pages = attempt(f"ListObjectVersions {here}", lambda: list(
                    s3.get_paginator("list_object_versions").paginate(Prefix=prefix, PaginationConfig={"PageSize": 3}, **ask)))
                versions = [v for p in pages or [] for v in p.get("Versions", [])]
                check(f"the versions {here} are its objects", sorted({v["Key"] for v in versions}) == keys and
                      sum(v["IsLatest"] for v in versions) == len(keys), (versions, keys))
                refused(f"the reader lists versions {here}", "AccessDenied", lambda: own.list_object_versions(Prefix=prefix, **ask), 403)
                refused(f"the reader lists objects {here}", "AccessDenied", lambda: own.list_objects_v2(Prefix=prefix, **ask), 403)
                for key in keys[:3]:
                    refused(f"the reader's HEAD of {key}", "403", lambda: own.head_object(Key=key, **ask), 403)
                    refused(f"the sampler's GET of {key}", "AccessDenied", lambda: s3.get_object(Key=key, **ask), 403)
                    refused(f"the sampler's PUT of {key}", "AccessDenied", lambda: s3.put_object(Key=key, Body=b"", **ask), 403)
                    refused(f"the sampler's DELETE of {key}", "AccessDenied", lambda: s3.delete_object(Key=key, **ask), 403)
                    try:
                        head = s3.head_object(Key=key, **ask)
                    except ClientError as error:  # under a key that the writer brought along
                        check(f"HEAD of {key}", error.response["Error"]["Code"] == "400", error)
                        continue
                    named = described.get("LogEncryptionKmsKeyId", "").strip()
                    if head["ServerSideEncryption"] == "aws:kms":
                        under_a_key += 1
                        check(f"key of {key}", ":kms:" in head["SSEKMSKeyId"] and (
                            ":key/" not in named or head["SSEKMSKeyId"] == named), (head["SSEKMSKeyId"], named))
                    else:
                        without += 1
                        check(f"encryption of {key}", head["ServerSideEncryption"] == "AES256" and "SSEKMSKeyId" not in head, head)
    for account, reader in clients.items():
        if account == sandbox.account:
            continue
        try:
            owned = reader("s3", "us-east-1").list_buckets(MaxBuckets=1000)["Buckets"]
        except ClientError:  # checked above
            continue
        for bucket in (b for b in owned if b["Name"].startswith("central") and not b["Name"].endswith("-reports")):
            s3 = sandbox.assume(account, "keyproof-sampler")("s3", bucket["BucketRegion"])
            page = attempt(f"ListObjectVersions of {bucket['Name']}", lambda: s3.list_object_versions(
                Bucket=bucket["Name"], Prefix="emr/", ExpectedBucketOwner=account)) or {}
            older += sum(not v["IsLatest"] for v in page.get("Versions", []))
    check("older versions, somewhere", older, older)
    check("log objects with a key and without, somewhere", under_a_key and without, (looked_at, under_a_key, without))


def resolve_localhost():
    """Lets names below localhost mean loopback, as RFC 6761 has it: S3 Control has a host name per account."""
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *more, **named: resolve(
        "127.0.0.1" if str(host).endswith(".localhost") else host, *more, **named)


def reports(sandbox, clients):
    """Jobs of S3 Batch Operations, and the reports that the source-reader role lists and GETs, and nothing more."""
    resolve_localhost()
    local = Sandbox(sandbox.url.replace("127.0.0.1", "localhost"), sandbox.account, sandbox.region)
    seen, formats, completed, refusals = 0, set(), 0, 0
    for account, reader in clients.items():
        if account == sandbox.account:
            continue
        try:
            listed = reader("s3", "us-east-1").list_buckets(MaxBuckets=1000)["Buckets"]
        except ClientError as error:
            check(f"ListBuckets of {account}", error.response["Error"]["Code"] == "AccessDenied", error)
            continue
        owned = {b["Name"]: b["BucketRegion"] for b in listed}
        if not any(name.endswith("-reports") for name in owned):
            continue
        source = attempt(f"AssumeRole keyproof-source-reader in {account}",
                         lambda: sandbox.assume(account, "keyproof-source-reader"))
        by_name = attempt(f"AssumeRole of {account} by name", lambda: local.assume(account))
        if source is None or by_name is None:
            continue
        for name, region in owned.items():
            if not name.endswith("-reports"):
                continue
            logs = name.removesuffix("-reports")
            here, own, ask = source("s3", region), reader("s3", region), {"ExpectedBucketOwner": account}
            listed = attempt(f"inventories of {logs}", lambda: own.list_bucket_inventory_configurations(Bucket=logs, **ask))
            for inventory in (listed or {}).get("InventoryConfigurationList", [])[:1]:
                to = inventory["Destination"]["S3BucketDestination"]
                check(f"destination of {logs}", to["Bucket"] == f"arn:aws:s3:::{name}", to)
                check(f"fields of {logs}", "EncryptionStatus" in inventory["OptionalFields"], inventory)
                above = f"{to['Prefix']}/{logs}/{inventory['Id']}/"
                page = here.list_objects_v2(Bucket=name, Prefix=above, Delimiter="/", **ask)
                days = [p["Prefix"] for p in page["CommonPrefixes"] if p["Prefix"].endswith("Z/")]
                check(f"reports of {logs}", len(days) > 7, page["CommonPrefixes"])
                get = lambda key, **more: here.get_object(Bucket=name, Key=key, **ask, **more)["Body"].read()
                manifest = get(f"{days[-1]}manifest.json")
                stated = get(f"{days[-1]}manifest.checksum").decode().strip()
                check(f"checksum of {logs}", hashlib.md5(manifest).hexdigest() == stated, stated)
                manifest = json.loads(manifest)
                check(f"manifest of {logs}", manifest["sourceBucket"] == logs and manifest["files"], manifest)
                formats.add(manifest["fileFormat"])
                for file in manifest["files"]:
                    data = get(file["key"])
                    check(f"data of {logs}", hashlib.md5(data).hexdigest() == file["MD5checksum"] and len(data) == file["size"])
                    check(f"a range of {logs}", get(file["key"], Range="bytes=2-5") == data[2:6])
                    if manifest["fileFormat"] == "CSV":
                        rows = list(csv.reader(gzip.decompress(data).decode().splitlines()))
                        columns = [c.strip() for c in manifest["fileSchema"].split(",")]
                        check(f"rows of {logs}", rows and all(len(r) == len(columns) and r[0] == logs for r in rows), rows[:2])
                    refused(f"the reader's GET of {name}", "AccessDenied",
                            lambda: own.get_object(Bucket=name, Key=file["key"], **ask), 403)
                refused(f"the source reader's list of {logs}", "AccessDenied",
                        lambda: here.list_objects_v2(Bucket=logs, **ask), 403)
                seen += 1
            control = by_name("s3control", region)
            try:
                jobs = control.list_jobs(AccountId=account)["Jobs"]
            except ClientError as error:  # an account whose reader is AWS's SecurityAudit
                check(f"ListJobs of {account}", error.response["Error"]["Code"] == "AccessDenied", error)
                refusals += 1
                continue
            for job in jobs:
                told = control.describe_job(AccountId=account, JobId=job["JobId"])["Job"]
                check(f"job {job['JobId']}", told["Status"] == job["Status"] and job["Operation"] in told["Operation"], told)
                if told["Status"] == "Complete" and told["Report"].get("ReportScope") == "AllTasks":
                    bucket = told["Report"]["Bucket"].split(":")[-1]
                    key = f"{told['Report']['Prefix']}/job-{job['JobId']}/manifest.json"
                    report = json.loads(here.get_object(Bucket=bucket, Key=key, **ask)["Body"].read())
                    ended = sum(len(here.get_object(Bucket=bucket, Key=r["Key"], **ask)["Body"].read().splitlines())
                                for r in report["Results"])
                    check(f"report of {job['JobId']}", ended == told["ProgressSummary"]["TotalNumberOfTasks"], report)
                    completed += 1
            refused(f"a made-up job of {account}", "NoSuchJob", lambda: control.describe_job(AccountId=account, JobId="0" * 36), 404)
    check("inventories in both formats", formats == {"CSV", "Parquet"}, formats)
    check("reports and jobs, somewhere", seen and completed, (seen, completed, refusals))


def signatures(sandbox):
    """KMS signs a digest and a message alike, and OpenSSL verifies both with the public key."""
    kms = sandbox.client("kms")
    keys = kms.list_keys()["Keys"]
    described = [may_deny("DescribeKey", lambda: kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]) for key in keys]
    signers = [key["Arn"] for key in described if key and key["KeyUsage"] == "SIGN_VERIFY"]
    check("a signing key beside the evidence bucket", len(signers) == 1, described)
    message = b"what is sealed"
    for arn in signers:
        public = serialization.load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
        for kind, data in (("DIGEST", hashlib.sha256(message).digest()), ("RAW", message)):
            signed = attempt(f"Sign {kind}", lambda: kms.sign(
                KeyId=arn, Message=data, MessageType=kind, SigningAlgorithm="ECDSA_SHA_256"))
            if signed is None:
                continue
            try:
                public.verify(signed["Signature"], message, ec.ECDSA(hashes.SHA256()))
                check(f"signature of {kind}", signed["KeyId"] == arn, signed["KeyId"])
            except InvalidSignature:
                check(f"signature of {kind}", False, "does not verify")
        refused("a digest that is none", "ValidationException", lambda: kms.sign(
            KeyId=arn, Message=b"short", MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"), 400)


def evidence_bucket(sandbox, truth):
    """The bucket's name and the sandbox as its owner sees it."""
    for account in truth["accounts"]:
        if account["state"] != "ACTIVE":
            continue
        s3 = sandbox.client("s3", account=account["account_id"])
        for bucket in s3.list_buckets()["Buckets"]:
            if bucket["Name"].startswith("keyproof-evidence-"):
                region = s3.get_bucket_location(Bucket=bucket["Name"])["LocationConstraint"] or "us-east-1"
                return bucket["Name"], Sandbox(sandbox.url, account["account_id"], region)
    raise SystemExit("FAILED: no account has an evidence bucket")


def start(binary, truth):
    """The process of a sandbox, its address and the key id it tells to use."""
    process = subprocess.Popen(
        [binary, "sandbox", "--listen", "127.0.0.1:0", "--truth", truth],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    address = key_id = None
    for line in process.stdout:
        for word in line.split():
            if word.startswith("http://"):
                address = address or word
            if word.startswith("AWS_ACCESS_KEY_ID="):
                key_id = word.split("=")[1]
        if address and key_id:
            return process, address, key_id
    raise SystemExit(f"FAILED: the sandbox ended with {process.wait()} before it said where it is")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="path of the keyproof binary")
    arguments, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="keyproof-boto3-") as work:
        path = os.path.join(work, "truth.json")
        process, address, key_id = start(os.path.abspath(arguments.binary), path)
        try:
            with open(path, encoding="utf-8") as file:
                truth = json.load(file)
            caller = Sandbox(address, None, "us-east-1").client("sts", key_id=key_id).get_caller_identity()
            management = Sandbox(address, caller["Account"], "us-east-1")
            bucket, owner = evidence_bucket(management, truth)
            s3_buckets(owner, bucket)
            s3_settings(owner)
            s3_objects(owner, bucket, "boto3/")
            s3_lists(owner, bucket, "boto3/")
            wire(management)
            clients = organization(management, truth)
            reads(clients, truth)
            identities(clients)
            log_objects(management, clients)
            reports(management, clients)
            signatures(owner)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)
    print(f"{len(PASSED)} passed, {len(FAILED)} failed")
    sys.exit(1 if FAILED else 0)


if __name__ == "__main__":
    main()
