#!/usr/bin/env python3
"""Builds the container image of scripts/deploy/image with Debian's buildah, and starts the program in it.

- nothing is in the image but the program, what it links, CA certificates, keyproof.toml; and the same
  files give the same image again;
- `--version`, `config` and `demo` work in it, as a user that is nobody;
- a run over the sandbox, whose endpoint is an `https` name: the resolver, the certificates and the TLS
  library of the image do a handshake. Its seal is verified outside;
- a server whose certificate no CA of the image signed is refused.

Where buildah is not installed, or cannot start anything (no root, no mounts), it says so and looks at
nothing.

Usage: image.py --binary target/debug/keyproof
"""

import argparse
import datetime as dt
import ipaddress
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support import loopback

REPO = pathlib.Path(__file__).resolve().parents[2]
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
NOBODY = 65532
EXIT_FAILED, EXIT_PARTIAL = 1, 4
# What buildah and the kernel put into a container to start it.
STARTED = {"dev", "proc", "run", "sys", "etc/hosts", "etc/resolv.conf", "etc/mtab"}


def check(holds, claim):
    if not holds:
        raise SystemExit(f"FAILED: {claim}")


class Buildah:
    """buildah with a storage of its own."""

    def __init__(self, work):
        configuration = work / "storage.conf"
        configuration.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{work}/graph"\nrunroot = "{work}/run"\n')
        self.environment = {
            **os.environ, "CONTAINERS_STORAGE_CONF": str(configuration), "BUILDAH_ISOLATION": "chroot"}
        self.containers = []

    def attempt(self, *arguments):
        return subprocess.run(
            ["buildah", *arguments], env=self.environment, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)

    def __call__(self, *arguments):
        done = self.attempt(*arguments)
        check(done.returncode == 0,
              f"buildah {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    def container(self, image):
        name = self("from", "--quiet", "--pull-never", image).strip()
        self.containers.append(name)
        return name

    def program(self, container, *arguments):
        return self("run", container, "--", "/keyproof", *arguments)

    def remove(self):
        if self.containers:
            subprocess.run(["buildah", "rm", *self.containers], env=self.environment,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def unusable(work):
    """Why buildah cannot be used here, by a program that is not ours; empty where it can."""
    if shutil.which("buildah") is None:
        return "buildah is not installed"
    if os.getuid() != 0:
        return "buildah is used as root here"
    context = work / "probe"
    program = shutil.which("true")
    linked = subprocess.run(["ldd", program], text=True, stdout=subprocess.PIPE).stdout
    for path in [program] + [word for word in linked.split() if word.startswith("/")]:
        target = context / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    buildah = Buildah(work)
    try:
        container = buildah("from", "--quiet", "scratch").strip()
        buildah("copy", "--quiet", container, str(context), "/")
        buildah("run", container, "--", program)
        buildah("rm", container)
    except SystemExit as cannot:
        return f"buildah cannot start a program here: {str(cannot).strip().splitlines()[-1]}"
    return ""


def certificate(name, issuer=None):
    """A certificate of a CA, or one that it issued for this machine, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.timezone.utc)
    by, signer = issuer or (subject, key)
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(by).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256()), key, subject


def pem(made):
    return made.public_bytes(serialization.Encoding.PEM)


class Tls:
    """Takes TLS off a loopback port and hands what comes to another. Its CA is made for the test."""

    def __init__(self, work, name, behind):
        self.ca, ca_key, ca_name = certificate(f"{name} CA")
        own, own_key, _ = certificate("localhost", (ca_name, ca_key))
        path = work / f"{name}.pem"
        path.write_bytes(pem(own) + own_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path)
        self.behind, self.handshakes, self.refusals = behind, [], []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with self.context.wrap_socket(connection, server_side=True) as client:
                version = client.version()
                # In TLS 1.3 the client's refusal comes with its first bytes. None at all: a connection
                # that was made in reserve and never used, since another was free earlier.
                first = client.recv(65536)
                if not first:
                    return
                self.handshakes.append(version)
                with socket.create_connection(("127.0.0.1", self.behind)) as server:
                    server.sendall(first)
                    threading.Thread(target=pump, args=(server, client), daemon=True).start()
                    pump(client, server)
        except ssl.SSLError as error:
            self.refusals.append(error.reason)
        except OSError:
            pass  # a connection that the client gave up


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class Sandbox:
    def __init__(self, binary):
        self.port = loopback.free_port()
        self.process = subprocess.Popen(
            [binary, "sandbox", "--listen", f"127.0.0.1:{self.port}", "--accounts", "2", "--regions", "1",
             "--clusters", "2", "--days", "2"], stdout=subprocess.PIPE, text=True)
        self.key_id = None
        for line in self.process.stdout:
            if "AWS_ACCESS_KEY_ID=" in line:
                self.key_id = line.split("AWS_ACCESS_KEY_ID=")[1].split()[0]
                break
        check(self.key_id, "the sandbox says whose credentials it takes")
        loopback.wait_until_listening(self.process, self.port, seconds=60)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        self.process.stdout.close()


def build(buildah, binary, ca, configuration, name):
    done = subprocess.run(
        [REPO / "scripts" / "deploy" / "image", "--binary", binary, "--strip", "--ca", ca,
         "--config", configuration, name],
        env=buildah.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(done.returncode == 0, f"scripts/deploy/image:\n{done.stdout}")


def contents(buildah, container):
    """Every file of the image, and how everything in it is set."""
    root = pathlib.Path(buildah("mount", container).strip())
    files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
    modes = {str(path.relative_to(root)): path.lstat() for path in root.rglob("*")}
    buildah("umount", container)
    return files, modes


def check_contents(buildah, container, binary):
    files, modes = contents(buildah, container)
    linked = subprocess.run(["ldd", binary], text=True, stdout=subprocess.PIPE).stdout
    libraries = {word.lstrip("/") for word in linked.split() if word.startswith("/")}
    expected = {"keyproof", "keyproof.toml", "etc/nsswitch.conf", CERTIFICATES} | libraries
    check(libraries, f"the program links libraries: {linked}")
    check(files - STARTED == expected, f"in the image: {sorted(files ^ expected)}")
    written = [path for path, mode in modes.items() if mode.st_uid == NOBODY]
    check(sorted(written) == ["work", "work/state"], f"its user owns {written}")
    check(not [p for p, mode in modes.items() if mode.st_mode & 0o6002 and p.split("/")[0] not in STARTED],
          "nothing is set-uid, and nothing can be written by everyone")
    size = sum(modes[path].st_size for path in expected)
    print(f"{len(expected)} files, {size / 1e6:.0f} MB (a build without optimisation)")


def run_over_tls(buildah, container, work, sandbox, tls):
    """A run in the image; what it said, and its archive as it lies outside."""
    # The image's own volume is /work, which buildah empties after each run.
    volume = work / f"evidence-{tls.port}"
    volume.mkdir()
    os.chown(volume, NOBODY, NOBODY)
    variables = {
        "AWS_ACCESS_KEY_ID": sandbox.key_id, "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"https://localhost:{tls.port}",
        "KEYPROOF_CONTROL_EVENTS": "false", "KEYPROOF_LAUNCHES": "false",
        "KEYPROOF_SINGLE_ACCOUNT": "true", "KEYPROOF_CELL_DEADLINE": "20s", "KEYPROOF_ARCHIVE": "/evidence/archive",
    }
    done = buildah.attempt(
        "run", *(f"--env={name}={value}" for name, value in variables.items()), f"--volume={volume}:/evidence",
        container, "--", "/keyproof", "run", "--log-format", "json")
    print(done.stdout.rstrip())
    return done, volume / "archive"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="path of the keyproof binary")
    options, _ = parser.parse_known_args()
    binary = os.path.abspath(options.binary)
    with tempfile.TemporaryDirectory(prefix="keyproof-image-") as work:
        work = pathlib.Path(work)
        why = unusable(work)
        if why:
            print(f"SKIPPED the container image: {why}")
            return
        buildah, sandbox = Buildah(work), Sandbox(binary)
        try:
            image(buildah, sandbox, binary, work)
        finally:
            sandbox.stop()
            buildah.remove()


def image(buildah, sandbox, binary, work):
    trusted, foreign = Tls(work, "trusted", sandbox.port), Tls(work, "foreign", sandbox.port)
    ca = work / "ca.pem"
    ca.write_bytes(pathlib.Path("/", CERTIFICATES).read_bytes() + pem(trusted.ca))
    configuration = work / "keyproof.toml"
    configuration.write_text('[tags]\nowner = "in-the-image"\n')
    build(buildah, binary, ca, configuration, "keyproof:test")
    build(buildah, binary, ca, configuration, "keyproof:again")
    identity = [buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", name)
                for name in ("keyproof:test", "keyproof:again")]
    check(identity[0] == identity[1], f"the same files give the same image: {identity}")

    container = buildah.container("keyproof:test")
    check_contents(buildah, container, binary)
    version = subprocess.run([binary, "--version"], text=True, stdout=subprocess.PIPE).stdout
    check(buildah.program(container, "--version") == version, f"it is {version}")
    settings = buildah.program(container, "config")
    check("in-the-image" in settings and "/work/state" in settings, f"its settings:\n{settings}")
    demo = buildah.program(
        container, "demo", "--accounts", "2", "--regions", "1", "--clusters", "1", "--days", "1",
        "--out", "/work/demo")
    check("SEALED" in demo, f"the demo:\n{demo}")

    done, archive = run_over_tls(buildah, container, work, sandbox, trusted)
    check(done.returncode in (0, EXIT_PARTIAL) and "SEALED" in done.stdout, f"exit {done.returncode}")
    check('"RunSealed":1' in done.stdout, "CloudWatch is told")
    check(trusted.handshakes and set(trusted.handshakes) == {"TLSv1.3"}, f"{trusted.handshakes}")
    verified = subprocess.run(
        [binary, "verify", archive, "--self-consistent-only", "--level", "3",
         "--state-dir", work / "elsewhere"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(verified.returncode == 0, f"verification outside:\n{verified.stdout}")
    print(f"{len(trusted.handshakes)} handshakes, {trusted.handshakes[0]}; the seal is verified outside")

    done, archive = run_over_tls(buildah, container, work, sandbox, foreign)
    check(done.returncode == EXIT_FAILED, f"a foreign server: exit {done.returncode}")
    check(foreign.refusals and not foreign.handshakes, f"{foreign.refusals} {foreign.handshakes}")
    check(archive.parent.exists() and not archive.exists(), "nothing was written")
    print(f"a server of another CA is refused: {foreign.refusals[0]}")


if __name__ == "__main__":
    main()
