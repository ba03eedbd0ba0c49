"""The `check_python_import` kind."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, ask, require_positive

EXAMPLE = """
- name: torch has kernels for the card
  check_python_import:
    python: /opt/personaplex/.venv/bin/python
    modules: [torch]
    expression: torch.cuda.get_arch_list()
    value: {contains: sm_120}
"""
_ASK = """
import importlib, json, sys
given = json.loads(sys.stdin.read())
names = {}
for name in given["modules"]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print("\\n" + json.dumps({"module": name, "error": type(error).__name__, "text": str(error)[-2000:]}))
        sys.exit(0)
    names[name.partition(".")[0]] = sys.modules[name.partition(".")[0]]
found = {}
if given["distribution"]:
    from importlib import metadata
    try:
        found["version"] = metadata.version(given["distribution"])
    except metadata.PackageNotFoundError:
        found["version"] = None
if given["expression"]:
    value = eval(given["expression"], names)
    found["value"] = value if isinstance(value, (str, int, float, bool, list, dict, type(None))) else str(value)
print("\\n" + json.dumps(found, default=str))
"""


@dataclass
class CheckPythonImport(Check):
    """Whether an interpreter can import modules, which version is installed, and what an expression on them gives.

    Importing runs a module's code: name none that does more than define things (`moshi.server` starts the server).
    """

    kind = "check_python_import"
    matched = ("version", "value")

    modules: List[str] = field(default_factory=list)
    "Modules to import, in order."
    python: str = "python3"
    "The interpreter."
    distribution: str | None = None
    "Name of the installed package whose `version` is meant, as pip knows it."
    expression: str | None = None
    "A Python expression over the modules, whose `value` is compared."
    environment: Dict[str, str] = field(default_factory=dict)
    "Variables of the environment the interpreter gets."
    timeout: float = 120.0
    "Seconds it may take."
    version: Matcher | None = None
    "Version of `distribution`, in quotes."
    value: Matcher | None = None
    "What `expression` gives."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if not self.modules and not self.distribution and not self.expression:
            yield "check_python_import needs modules, distribution or expression"
        if self.version is not None and self.distribution is None:
            yield "version needs distribution: the package whose version is meant"
        if self.value is not None and self.expression is None:
            yield "value needs expression"

    def title(self) -> str:
        return self.expression or self.distribution or ", ".join(self.modules)

    def look(self, host: Host) -> Dict[str, Any]:
        python = host.expand(self.python)
        given = {"modules": self.modules, "distribution": self.distribution, "expression": self.expression}
        found = ask(host, [python, "-B", "-c", _ASK], self.timeout, self.environment, json.dumps(given))
        try:
            said: Dict[str, Any] = json.loads(found.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            tail = "\n".join((found.stderr.strip() or found.stdout.strip()).splitlines()[-6:])
            how = f"was killed by signal {-found.rc}" if found.rc < 0 else f"exited with {found.rc}"
            raise ResourceError(f"{python} {how} at {self.title()}", tail) from None
        if "error" in said:
            raise ResourceError(f"{python} cannot import {said['module']}: {said['error']}: {said['text']}", "",
                                _why(said), said)
        return said


def _why(said: Dict[str, Any]) -> str:
    if said["error"] == "ModuleNotFoundError":
        return "it is not installed for this interpreter, or something it needs is not"
    return "a system library it needs is missing" if "cannot open shared object file" in said["text"] else ""
