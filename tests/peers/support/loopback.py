"""Starting servers on loopback ports; shared by the peers' tests, no test itself."""

import socket
import time


def free_port():
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(process, port, seconds):
    """Returns when the process accepts connections; ends this program when it dies or never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"FAILED: the server ended with {process.returncode} before listening")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise SystemExit(f"FAILED: nothing listens on 127.0.0.1:{port} after {seconds} s")
