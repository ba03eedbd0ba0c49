"""The `check_interpreter` kind."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, ask

EXAMPLE = """
- name: every dependency has a wheel for this Python
  check_interpreter:
    path: /opt/pyenv/versions/3.10.14/bin/python
    version: {between: ["3.10", "3.12"]}
    extensions: [ssl, zlib, ctypes, bz2, lzma, sqlite3, readline]
"""
_ASK = """
import importlib.util, json, platform, sys
missing = []
for name in json.loads(sys.stdin.read()):
    try:
        __import__(name)
    except ImportError as error:
        missing.append(name)
print(json.dumps({"version": platform.python_version(), "architecture": platform.machine(), "missing": missing,
                  "implementation": sys.implementation.name, "virtual": sys.prefix != sys.base_prefix}))
"""


@dataclass
class CheckInterpreter(Check):
    """A Python interpreter: its version, and whether it was built with what it should have."""

    kind = "check_interpreter"
    free_form = "path"
    matched = ("version", "implementation", "architecture", "virtual")

    path: str = "python3"
    "The interpreter."
    version: Matcher | None = None
    'Its version, in quotes: {between: ["3.10", "3.12"]} takes 3.12.9 too.'
    extensions: List[str] = field(default_factory=list)
    "Modules of the standard library that must be there: a Python built without a library lacks some."
    implementation: Matcher | None = None
    "`cpython`, `pypy` …"
    architecture: Matcher | None = None
    "`x86_64`, `aarch64` …"
    virtual: Matcher | None = None
    "Whether it is that of a virtual environment."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        wanted = self.version.values() if isinstance(self.version, dict) else [self.version]
        for one in wanted:
            if any(isinstance(each, float) for each in (one if isinstance(one, list) else [one])):
                yield "version is a version: write it in quotes, so that 3.10 does not become 3.1"

    def title(self) -> str:
        return self.path

    def look(self, host: Host) -> Dict[str, Any]:
        path = host.expand(self.path)
        found = ask(host, [path, "-I", "-B", "-c", _ASK], 60, stdin=json.dumps(self.extensions))
        try:
            said: Dict[str, Any] = json.loads(found.stdout)
        except ValueError:
            raise ResourceError(f"{self.path} is no Python that works", found.stderr.strip()[-1000:]) from None
        if said["missing"]:
            raise ResourceError(f"{self.path} was built without {', '.join(said['missing'])}", "",
                                "install the libraries it is built with (libssl-dev, libffi-dev, libbz2-dev, "
                                "liblzma-dev, libsqlite3-dev, libreadline-dev …) and build it again", said)
        return said
