"""The `check_wheel` kind."""

from __future__ import annotations

import html
import re
from typing import Any, Dict, Iterator, List, Tuple
from urllib.parse import unquote, urljoin

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, require_positive
from personaplex_provision.agent.resources._http import Request, ask, is_here, need_ok, shown

EXAMPLE = """
- name: PyTorch has a wheel for this machine
  check_wheel:
    package: torch
    index: https://packages.lab.example/simple/
    version: "2.9.1"
    python: "3.10"
    architecture: x86_64
"""


@dataclass
class CheckWheel(Check):
    """Whether a package index has a wheel of a version for a Python and a processor, so that nothing is compiled."""

    kind = "check_wheel"
    free_form = "package"

    package: str
    "Name of the package."
    index: str
    "The index (PEP 503), as pip takes it."
    version: str = ""
    "The version, or how it begins (`0.1` takes 0.1.12); any when left out."
    python: str = "3.10"
    'Version of Python, in quotes: only its first two numbers count.'
    architecture: str = "x86_64"
    "The processor, as `uname -m` says it."
    timeout: float = 20.0
    "Seconds without an answer after which the index is given up."

    def validate(self) -> Iterator[str]:
        yield from require_positive("timeout", self.timeout)
        if not re.match(r"\d+\.\d+", self.python):
            yield f'python is a version such as "3.10", and not "{self.python}"'
        if not self.index.startswith(("http://", "https://")):
            yield f"index must be an http or https address, and is {shown(self.index)}"

    def elsewhere(self) -> bool:
        return not is_here(self.index)

    def title(self) -> str:
        return f"{self.package} {self.version}".rstrip()

    def look(self, host: Host) -> Dict[str, Any]:
        page = f"{self.index.rstrip('/')}/{re.sub(r'[-_.]+', '-', self.package).lower()}/"
        request = Request(page, headers={"Accept": "text/html"}, timeout=self.timeout, follow="all", tries=2)
        with ask(request, host) as response:
            need_ok(request, response)
            text = response.read().decode("utf-8", "replace")
        files = {unquote(url.partition("#")[0].rpartition("/")[2]): urljoin(response.url, url)
                 for url in (html.unescape(one) for one in re.findall(r'href="([^"]+)"', text))}
        same = [name for name in files if name.endswith(".whl") and _is(name.split("-")[1], self.version)]
        fitting = [name for name in same if fits(name, self.python, self.architecture)]
        if not fitting:
            which = f"Python {'.'.join(self.python.split('.')[:2])} on {self.architecture}"
            there = sorted({f"{tags[0]} {tags[2]}" for tags in map(_tags, same)})
            raise ResourceError(
                f"{shown(self.index)} has no wheel of {self.title()} for {which}",
                f"it has wheels for {', '.join(there[:12])}" if there else "it has none of that version",
                "choose a Python and versions that have wheels, or a complete mirror")
        return {"file": fitting[-1], "url": files[fitting[-1]].partition("#")[0]}


def fits(name: str, python: str, architecture: str) -> bool:
    """Whether a wheel of this file name can be installed in a CPython of Linux with glibc."""
    pythons, abis, platforms = (one.split(".") for one in _tags(name))
    major, minor = (int(one) for one in python.split(".")[:2])
    current = f"cp{major}{minor}"
    older = {f"cp{major}{one}" for one in range(2, minor + 1)}
    if not any(one == "any" or (one.endswith(f"_{architecture}") and "linux" in one and "musl" not in one)
               for one in platforms):
        return False
    if "abi3" in abis:
        return bool(older & set(pythons))
    return current in pythons if current in abis else "none" in abis and bool({f"py{major}", current} & set(pythons))


def _tags(name: str) -> Tuple[str, str, str]:
    parts: List[str] = name[:-len(".whl")].split("-")
    return parts[-3], parts[-2], parts[-1]


def _is(version: str, wanted: str) -> bool:
    plain = version.partition("+")[0]
    return not wanted or plain == wanted or plain.startswith(f"{wanted}.")
