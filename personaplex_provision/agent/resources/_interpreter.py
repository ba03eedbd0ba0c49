"""Python interpreters and virtual environments: what they are, and where their packages lie."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict, List

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError

_ASK = (
    "import json,os,sys,site,sysconfig;p=sysconfig.get_paths();"
    "print(json.dumps({'version':'.'.join(map(str,sys.version_info[:3])),"
    "'home':os.path.dirname(getattr(sys,'_base_executable',None) or sys.executable),"
    "'sites':[p['purelib'],p['platlib']]+(site.getsitepackages() if hasattr(site,'getsitepackages') else [])"
    "+([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),'scripts':p['scripts']}))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python: its executable, version (3.11.4), folder of the base executable, package folders, script folder."""

    python: str
    version: str
    home: str
    sites: List[str]
    scripts: str

    @property
    def series(self) -> str:
        """`3.11`."""
        return ".".join(self.version.split(".")[:2])


def ask(host: Host, python: str) -> Interpreter:
    """What an interpreter says of itself. Raises ResourceError, while planning Unpredictable."""
    found = host.query([python, "-B", "-c", _ASK], reads=[python] if os.path.isabs(python) else [])
    try:
        said: Dict[str, Any] = json.loads(found.stdout)
    except ValueError:
        raise ResourceError(f"{python} is no Python that works", (found.stderr or found.stdout)[-1000:]) from None
    sites = [one for one in dict.fromkeys(said["sites"]) if host.stat(one, follow=True).type == "directory"]
    return Interpreter(python, said["version"], said["home"], sites, said["scripts"])


def default_python(host: Host) -> str:
    """The interpreter that is meant when none is named. Raises ResourceError when there is none."""
    return host.which("python3") or "python3"


def settings_of(host: Host, venv: str) -> Dict[str, str]:
    """What `pyvenv.cfg` says, keys in lower case; empty when there is no virtual environment."""
    try:
        text = host.read_text(f"{venv}/pyvenv.cfg")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    found = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip().lower()] = value.strip().strip("'\"")
    return found


def version_of(settings: Dict[str, str]) -> str:
    """The interpreter's version (3.11.4) as `pyvenv.cfg` has it."""
    found = re.match(r"\d+(\.\d+){0,2}", settings.get("version") or settings.get("version_info") or "")
    return found[0] if found else ""


def of_venv(host: Host, venv: str, settings: Dict[str, str]) -> Interpreter:
    """A virtual environment, read from its files; only one that sees the system's packages has to be asked."""
    python = f"{venv}/bin/python"
    if settings.get("include-system-site-packages", "").lower() == "true":
        return ask(host, python)
    sites = []
    for library in ("lib", "lib64"):
        top = f"{venv}/{library}"
        if host.stat(top).type != "directory":
            continue
        for name in host.list(top):
            site = f"{top}/{name}/site-packages"
            if name.startswith(("python3", "pypy3")) and host.stat(site, follow=True).type == "directory":
                sites.append(site)
    return Interpreter(python, version_of(settings), settings.get("home", ""), sites, f"{venv}/bin")
