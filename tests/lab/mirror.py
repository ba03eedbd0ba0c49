"""The Debian mirror, read from the machine's own apt sources: no server is named in this project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

APT = Path("/etc/apt")


def mirror() -> str:
    """The address from which this machine takes its own release of Debian."""
    codename = _codename()
    for uri, suites in _sources():
        if codename in suites:
            return uri.rstrip("/")
    raise LookupError(f"no apt source under {APT} offers the suite {codename!r}")


def _codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    raise LookupError("/etc/os-release names no VERSION_CODENAME")


def _sources() -> Iterator[tuple[str, list[str]]]:
    """Every (address, suites) of the machine's sources, in both of apt's formats."""
    for path in sorted((APT / "sources.list.d").glob("*.sources")):
        for stanza in path.read_text().split("\n\n"):
            fields = dict(_field(line) for line in stanza.splitlines() if ":" in line and line[0] not in "# ")
            if "deb" in fields.get("types", "").split():
                for uri in fields.get("uris", "").split():
                    yield uri, fields.get("suites", "").split()
    for path in [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*.list"))]:
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            words = line.partition("]")[2].split() if "[" in line else line.split()[1:]
            if line.startswith("deb ") and len(words) >= 2:
                yield words[0], [words[1]]


def _field(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.lower(), value.strip()
