"""npm packages for peers, below KEYPROOF_BUILD (default: build/), each pinned."""

import os
import pathlib
import shutil
import subprocess

REPO = pathlib.Path(__file__).resolve().parents[3]


def install(name, packages):
    """The node_modules of `packages`, in a folder called `name`; installed when not there yet."""
    if not shutil.which("node") or not shutil.which("npm"):
        raise SystemExit("FAILED: Node.js 20 or newer with npm is needed (Debian: apt-get install nodejs npm)")
    build = pathlib.Path(os.environ.get("KEYPROOF_BUILD", REPO / "build")).absolute()
    folder = build / name
    stamp = folder / ".stamp"
    if not stamp.is_file() or stamp.read_text() != "\n".join(packages):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
        subprocess.run([*command, *packages], check=True)
        stamp.write_text("\n".join(packages))
    return folder / "node_modules"
