"""What the tests against moto share: credentials that name nobody, boto3 clients, a moto of our own, the
program beside it. No test itself."""

import os
import signal
import subprocess
import sys

import boto3
from botocore.config import Config

from support import loopback

ACCOUNT = "123456789012"  # moto's own default account: what unknown credentials belong to
REGION = "us-east-1"

# moto takes any, and no real AWS account must ever be reached.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def check(holds, claim):
    if not holds:
        raise SystemExit(f"FAILED: {claim}")


class Moto:
    """A moto_server in a process of its own, on a free loopback port."""

    def __init__(self, work):
        self.log = open(os.path.join(work, "moto.log"), "wb")
        port = loopback.free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        server = os.path.join(os.path.dirname(sys.executable), "moto_server")
        self.process = subprocess.Popen(
            [server, "-H", "127.0.0.1", "-p", str(port)],
            stdout=self.log, stderr=subprocess.STDOUT, env={**os.environ, **CREDENTIALS},
        )
        loopback.wait_until_listening(self.process, port, seconds=60)

    def requests(self):
        """Its log so far: requests with their status, stack traces of what it cannot do."""
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def client(endpoint, service, credentials=None):
    """A boto3 client of moto's default account, or of whoever STS gave `credentials` to."""
    credentials = credentials or {
        "AccessKeyId": "testing", "SecretAccessKey": "testing", "SessionToken": "testing",
    }
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def assume(endpoint, role_arn):
    """Credentials of a role; moto lets anybody take on any."""
    answer = client(endpoint, "sts").assume_role(RoleArn=role_arn, RoleSessionName="setup")
    return answer["Credentials"]


def signing_key(work):
    """A local P-256 key in a file that only its owner reads."""
    path = os.path.join(work, "signing-key.pem")
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-out", path], check=True, stderr=subprocess.DEVNULL)
    os.chmod(path, 0o600)
    return path


def keyproof(binary, work, *arguments, **settings):
    """Runs the binary with nothing of the caller's AWS configuration, and shows what it says."""
    environment = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("AWS_", "KEYPROOF_"))
    }
    environment.update(
        CREDENTIALS, HOME=work, AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        KEYPROOF_LAUNCHES="false",  # moto has no LookupEvents
        KEYPROOF_CELL_DEADLINE="5s",  # moto answers 500 to ListSecurityConfigurations, always
    )
    environment.update(settings)
    done = subprocess.run(
        [binary, *arguments], env=environment, cwd=work, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    print(f"$ keyproof {' '.join(arguments)}\n{done.stdout.rstrip()}\n(exit {done.returncode})")
    return done
