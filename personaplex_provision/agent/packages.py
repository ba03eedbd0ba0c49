"""dpkg's packages, each read when it is asked for: there are thousands, and a task names a few."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Dict, Iterable, Iterator, Optional

from personaplex_provision.agent.row import NamedTuple

STATUS = "/var/lib/dpkg/status"


class Package(NamedTuple):
    """A dpkg package: `status` is dpkg's third status word (`installed`, `config-files`, `half-configured` …)."""

    name: str
    version: str
    status: str
    architecture: str


class Packages(Mapping):  # type: ignore[type-arg]  # subscribed it would import typing's machinery at every start
    """Package by name, a second architecture's as `name:arch`; what `changes` says of one comes first (None: gone)."""

    def __init__(self, text: str, changes: Dict[str, Optional[Package]] | None = None) -> None:
        self._text = f"\n\n{text}"
        self._changes = changes or {}
        self._known: Dict[str, Dict[str, Package]] = {}
        "Those of a name, by name and `name:arch`."
        self._whole: Dict[str, Package] = {}

    def changed(self, changes: Dict[str, Optional[Package]]) -> Packages:
        """The same with changes."""
        found = Packages("", changes)
        found._text, found._known, found._whole = self._text, self._known, self._whole
        return found

    def __getitem__(self, name: str) -> Package:
        found = self._changes[name] if name in self._changes else self._of(name.partition(":")[0]).get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._all() if name not in self._changes)
        yield from (name for name, one in self._changes.items() if one is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def any_is(self, statuses: Iterable[str]) -> bool:
        """Whether dpkg has a package in one of these states."""
        wanted = [one for one in statuses if f" {one}\n" in self._text]
        return bool(wanted) and any(one.status in wanted for one in self._all().values())

    def _of(self, name: str) -> Dict[str, Package]:
        if name not in self._known:
            found: Dict[str, Package] = {}
            sign = f"\n\nPackage: {name}\n"
            at = self._text.find(sign)
            while at >= 0:
                end = self._text.find("\n\n", at + 2)
                _add(found, self._text[at + 2:end if end >= 0 else None])
                at = self._text.find(sign, at + 2)
            self._known[name] = found
        return self._known[name]

    def _all(self) -> Dict[str, Package]:
        if not self._whole:
            found: Dict[str, Package] = {}
            for stanza in self._text.split("\n\n"):
                _add(found, stanza)
            self._whole.update(found)
        return self._whole


def read() -> Packages:
    """The packages of this machine; none where there is no dpkg."""
    try:
        with open(STATUS, encoding="utf-8", errors="replace") as file:
            return Packages(file.read())
    except OSError:
        return Packages("")


def _add(found: Dict[str, Package], stanza: str) -> None:
    row = dict(re.findall(r"(?m)^(Package|Status|Version|Architecture): (.*)$", stanza))
    if "Package" not in row:
        return
    name, arch = row["Package"], row.get("Architecture", "")
    key = name if arch in ("all", _native()) or name not in found else f"{name}:{arch}"
    found[key] = Package(name, row.get("Version", ""), row.get("Status", "").rsplit(" ", 1)[-1], arch)


def _native() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
