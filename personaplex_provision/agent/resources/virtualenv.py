"""The `virtualenv` kind."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._attributes import check_path, need_parent
from personaplex_provision.agent.resources._interpreter import ask, default_python, settings_of, version_of

EXAMPLE = """
- name: the environment PersonaPlex runs in
  virtualenv:
    path: /opt/personaplex/venv
    python: /opt/pyenv/versions/3.10.14/bin/python
"""


class OnePip:
    """What kinds that change a virtual environment share: only one of them at a time in each environment."""

    def __init__(self, field_name: str) -> None:
        self.field = field_name

    def __get__(self, instance: Any, owner: Any) -> Tuple[str, ...]:
        return () if instance is None else (f"pip:{getattr(instance, self.field) or 'system'}",)


@dataclass
class Virtualenv(Resource):
    """A Python virtual environment.

    It is in state when it was made from that interpreter: the same directory and the same minor version (a bugfix
    release does not ask for a new one). One of another Python is rebuilt in place, since scripts in an environment
    hold its path and cannot be moved; its packages go, and the `pip` tasks after it bring them anew. Taken back
    exactly: a new environment goes, an old one comes back with all it held.
    """

    kind = "virtualenv"
    reversible_why = "An environment that was made goes; one that was there is kept whole before it is made anew."
    slow = True
    exclusive = OnePip("path")
    unmanaged = ("upgrade_pip", "pip_args")

    path: str
    "Absolute path of the environment."
    python: str | None = None
    "Absolute path of the interpreter; `python3` of the PATH when left out."
    system_site_packages: bool | None = None
    "Whether the interpreter's own packages are seen too."
    prompt: str | None = None
    "Word that a shell shows while the environment is active."
    upgrade_pip: bool = False
    "Whether pip is brought up to date when the environment is made."
    pip_args: List[str] = field(default_factory=list)
    "Further arguments for that (`--index-url …`)."
    state: str = observed("present")
    "`present`, `absent`, or `broken` where its interpreter is gone."

    def validate(self) -> Iterator[str]:
        yield from check_path("path", self.path)
        if self.python is not None:
            yield from check_path("python", self.python)

    def observe(self, host: Host) -> Virtualenv:
        path = self._path(host)
        now = Virtualenv(self.path)
        planned = host.declared("venv", path)
        if planned:
            now.python = self._named(planned["python"], planned.get("home", ""))
            now.system_site_packages, now.prompt = planned.get("system", False), planned.get("prompt") or self.prompt
            self._meet(now, host, planned["python"], planned.get("home", ""))
            return now
        settings = settings_of(host, path)
        if not settings:
            entry = host.stat(path, follow=True)
            if entry.exists and (entry.type != "directory" or host.list(path)):
                raise ResourceError(
                    f"{path} is there and is no virtual environment", "", "remove it first, or choose another path",
                )
            now.state = "absent"
            return now
        now.system_site_packages = settings.get("include-system-site-packages", "").lower() == "true"
        now.prompt = settings.get("prompt")
        now.python = self._named(version_of(settings), settings.get("home", ""))
        if not host.stat(f"{path}/bin/python", follow=True).exists:
            now.state = "broken"
            return now
        self._meet(now, host, version_of(settings), settings.get("home", ""))
        return now

    def diff(self, now: Virtualenv) -> List[Change]:
        if now.state != "present":
            have = None if now.state == "absent" else f"{now.python}, gone"
            return [Change("python", have, self.python or "python3")]
        return super().diff(now)

    def converge(self, now: Virtualenv, host: Host) -> None:
        path, python = self._path(host), self.python or default_python(host)
        need_parent(host, path)
        kept = now if now.state == "present" else self
        system = kept.system_site_packages if self.system_site_packages is None else self.system_site_packages
        prompt = kept.prompt if self.prompt is None else self.prompt
        argv = [python, "-m", "venv", *(["--system-site-packages"] if system else [])]
        argv += ["--prompt", prompt] if prompt else []
        if now.state == "present" and self._same_python(now):
            # Without pip and over what is there, venv writes just its settings and scripts anew.
            argv[0] = f"{path}/bin/python"
            host.run([*argv, "--without-pip", path], touches=[f"{path}/pyvenv.cfg"], trees=[f"{path}/bin"])
            return
        if host.stat(path).exists:
            host.remove(path)
        found = host.run([*argv, path], trees=[path], check=False)
        if found.rc != 0:
            said = found.stderr.strip() or found.stdout.strip()
            missing = "ensurepip" in said or "No module named venv" in said
            raise ResourceError(
                f"{python} could not make the environment {path}", "\n".join(said.splitlines()[-20:]),
                "install the package python3-venv (Debian and Ubuntu leave it out)" if missing else "",
            )
        if self.upgrade_pip:
            host.run([f"{path}/bin/python", "-m", "pip", "install", "--upgrade", *self.pip_args, "pip"])

    def predict(self, now: Virtualenv, host: Host) -> None:
        path = self._path(host)
        need_parent(host, path)
        if now.state == "present" and self._same_python(now):
            return
        host.touch_image(path, whole=True, link=True)
        version, home = self._wanted(host) if self._answers(host) else ("", os.path.dirname(self.python or ""))
        host.opaque(path)
        host.declare("venv", path, {
            "python": version, "home": home, "packages": {}, "system": bool(self.system_site_packages),
            "prompt": self.prompt,
        })

    def action(self, now: Virtualenv, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.state == "absent" else "update"

    def result(self, now: Virtualenv, after: Virtualenv, host: Host) -> Dict[str, Any]:
        return {"path": self._path(host), "python": f"{self._path(host)}/bin/python"}

    def provides(self) -> List[Address]:
        return [("venv", self.path.rstrip("/")), ("path", self.path.rstrip("/"))]

    def needs(self) -> List[Address]:
        found: List[Address] = [("path", os.path.dirname(self.path.rstrip("/")))]
        return [*found, ("path", self.python) if self.python else ("command", "python3")]

    def _path(self, host: Host) -> str:
        return host.expand(self.path).rstrip("/")

    def _named(self, version: str, home: str) -> str:
        return f"{version} of {home}"

    def _meet(self, now: Virtualenv, host: Host, version: str, home: str) -> None:
        """Says "the same" where the environment was made from the wanted interpreter."""
        if self.python is None:
            return
        if not version and host.planning:
            raise Unpredictable(f"which Python {self.path} is of is known once it is made")
        want, folder = self._wanted(host)
        place = folder == home or host.realpath(folder) == host.realpath(home)
        if place and want.split(".")[:2] == version.split(".")[:2]:
            now.python = self.python

    def _same_python(self, now: Virtualenv) -> bool:
        return self.python is None or now.python == self.python

    def _wanted(self, host: Host) -> Tuple[str, str]:
        """Version of the wanted interpreter, and the directory it is in."""
        python = self.python or default_python(host)
        planned = host.declared("python", python)
        if planned:
            return str(planned), os.path.dirname(python)
        found = ask(host, python)
        return found.version, found.home

    def _answers(self, host: Host) -> bool:
        """Whether the wanted interpreter can be asked, or an earlier task said what it will be."""
        python = self.python or default_python(host)
        if host.declared("python", python):
            return True
        try:
            ask(host, python)
        except Exception:
            return False
        return True
