"""Ends TLS before the sandbox, which speaks plain HTTP: `tls.py HOST:PORT CERTIFICATE KEY` prints its own port.

Called by measure.py. Standard library only.
"""

import asyncio
import pathlib
import ssl
import subprocess
import sys

ALL = 1 << 16  # bytes at one time


def certificates(folder):
    """An authority and a certificate of 127.0.0.1 that it signed; the files of authority, certificate and key."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    authority, certificate, key = (pathlib.Path(folder) / f"tls-{name}.pem" for name in ("authority", "certificate", "key"))
    of_authority, request, names = (pathlib.Path(folder) / f"tls-{name}" for name in ("authority.key", "request", "names"))
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", of_authority, "-out", authority, "-subj", "/CN=bench", "-days", "2")
    openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
    names.write_text("subjectAltName=IP:127.0.0.1\n", encoding="utf-8")
    openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", of_authority, "-CAcreateserial",
            "-out", certificate, "-days", "2", "-extfile", names)
    return authority, certificate, key


async def relay(reader, writer, *target):
    """Bytes both ways until either side ends."""
    inner_reader, inner_writer = await asyncio.open_connection(*target)

    async def pump(source, sink):
        try:
            while data := await source.read(ALL):
                sink.write(data)
                await sink.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            sink.close()

    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))


async def main(target, certificate, key):
    host, port = target.rsplit(":", 1)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    serve = lambda reader, writer: relay(reader, writer, host, int(port))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
