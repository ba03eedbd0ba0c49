"""A stand-in of the mirror that Python's sources come from.

The archive has the shape of CPython's (configure, make, make install) and its real name, but what it installs is a
copy of the target's own Debian Python under the wanted prefix, with pip and setuptools in ensurepip. So that nothing
lies, it builds only the version that the target has: `configure` refuses any other.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

from ..tree import SUITES
from .server import Server, files
from .wheels import wheels

SOURCES = Path(__file__).parent / "files/python"
PRESET = 1  # the wheels inside are compressed already


def archive(version: str) -> bytes:
    """`Python-<version>.tar.xz`; the same bytes every time."""
    top = f"Python-{version}"
    members: list[tuple[str, bytes, int]] = []
    for name in ("configure", "Makefile.in", "install", "ensurepip/init"):
        content = (SOURCES / name).read_text().replace("@VERSION@", version).encode()
        members.append((name, content, 0o755 if name == "configure" else 0o644))
    for wheel in wheels():
        if not wheel.name.startswith("wheel-"):
            members.append((f"ensurepip/_bundled/{wheel.name}", wheel.read_bytes(), 0o644))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for target, content, mode in members:
            member = tarfile.TarInfo(f"{top}/{target}")
            member.size, member.mode, member.mtime = len(content), mode, 1740000000
            tar.addfile(member, io.BytesIO(content))
    return lzma.compress(buffer.getvalue(), preset=PRESET)


class PythonMirror:
    """Serves the archives by SHA-256, as a python-build mirror does, and by path, as Python's own server does."""

    def __init__(self, addresses: Sequence[str], directory: Path) -> None:
        self.sha256: dict[str, str] = {}
        "Version -> SHA-256 of its archive."
        directory.mkdir(parents=True)
        for version in SUITES.values():
            content = archive(version)
            self.sha256[version] = hashlib.sha256(content).hexdigest()
            (directory / self.sha256[version]).write_bytes(content)
            path = directory / "ftp/python" / version
            path.mkdir(parents=True)
            (path / f"Python-{version}.tar.xz").hardlink_to(directory / self.sha256[version])
        self.server = Server(addresses, files(directory))
        self.url = self.server.url
        "What PYTHON_BUILD_MIRROR_URL is set to."

    def close(self) -> None:
        """Stop serving."""
        self.server.close()
