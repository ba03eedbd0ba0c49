"""Makes Debian packages: a control file, a few files, perhaps maintainer scripts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..commands import run

EPOCH = "1740000000"


@dataclass(frozen=True)
class Package:
    """A Debian package to be made."""

    name: str
    version: str
    description: str
    depends: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    "Path on the host -> content; what lies in a `bin` directory is executable."
    scripts: Mapping[str, str] = field(default_factory=dict)
    "`postinst`, `prerm` … -> shell commands."
    conflicts: str = ""

    @property
    def filename(self) -> str:
        """The name of the made file."""
        return f"{self.name}_{self.version}_amd64.deb"

    def control(self) -> str:
        """The control paragraph, which the repository's list of packages repeats."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "amd64",
            "Maintainer": "cudatools <cudatools@lab.invalid>",
            "Section": "devel",
            "Priority": "optional",
            "Depends": self.depends,
            "Conflicts": self.conflicts,
            "Description": self.description,
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def build(package: Package, directory: Path) -> Path:
    """Make `package` in `directory`; the same package is the same bytes every time."""
    tree = directory / f"{package.filename}.tree"
    for path, content in package.files.items():
        _write(tree / path.lstrip("/"), content, 0o755 if "/bin/" in path else 0o644)
    _write(tree / "DEBIAN/control", package.control(), 0o644)
    conffiles = "".join(f"{path}\n" for path in package.files if path.startswith("/etc/"))
    if conffiles:
        _write(tree / "DEBIAN/conffiles", conffiles, 0o644)
    for name, commands in package.scripts.items():
        _write(tree / "DEBIAN" / name, f"#!/bin/sh\nset -e\n{commands}\n", 0o755)
    done = directory / package.filename
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(done)]
    run(command, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    return done


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
