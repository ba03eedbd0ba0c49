"""The `pip` kind."""

from __future__ import annotations

import os
import shlex
from typing import Any, Dict, Iterator, List, Literal, Set

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources import _satisfying
from personaplex_provision.agent.resources._attributes import check_path
from personaplex_provision.agent.resources._distributions import Distribution, read_all
from personaplex_provision.agent.resources._interpreter import (
    Interpreter,
    ask,
    default_python,
    of_venv,
    settings_of,
    version_of,
)
from personaplex_provision.agent.resources._marker import environment_of, holds
from personaplex_provision.agent.resources._pip import Pip, Sources
from personaplex_provision.agent.resources._planned_packages import after, unmet_there
from personaplex_provision.agent.resources._requirement import Requirement, canonical, parse, read_lines
from personaplex_provision.agent.resources._satisfying import Unmet
from personaplex_provision.agent.resources.virtualenv import OnePip, Virtualenv

EXAMPLE = """
- name: PersonaPlex itself, with the torch that knows the card
  pip:
    name: [/opt/personaplex/source/moshi]
    virtualenv: /opt/personaplex/venv
    overrides: [torch==2.9.1]
    forbid: [moshi]
"""


@dataclass
class PipPackages(Resource):
    """Python packages in a virtual environment, or for an interpreter.

    What is installed is read from its metadata, so that looking starts no pip. A project's directory counts as
    installed while it holds what it held when it was installed. Taken back exactly: the environment's tree is kept by
    hard links, which is right because pip replaces files and never writes into them.
    """

    kind = "pip"
    reversible_why = "The environment's tree is kept before pip changes it, and comes back as it was."
    slow = True
    exclusive = OnePip("virtualenv")
    free_form = ""
    unmanaged = (
        "virtualenv", "virtualenv_python", "virtualenv_command", "virtualenv_site_packages", "editable", "extra_args",
        "chdir", "executable", "break_system_packages", "index_url", "extra_index_urls", "find_links", "no_index",
        "no_deps", "constraints", "require_hashes",
    )

    name: List[str] | None = None
    "Packages: `torch==2.9.1`, an address, a local directory, wheel or archive."
    requirements: str | None = None
    "A requirements file on the target."
    version: str | None = None
    "Version of the one package in `name`."
    virtualenv: str | None = None
    "Absolute path of the virtual environment; it is made when it is missing."
    virtualenv_python: str | None = None
    "Interpreter for an environment that has to be made."
    virtualenv_command: str | None = None
    "Command that makes the environment, instead of the interpreter's own venv."
    virtualenv_site_packages: bool = False
    "Whether an environment that has to be made sees the system's packages."
    editable: bool = False
    "Whether the directories in `name` are used where they lie."
    state: Literal["present", "absent", "latest", "forcereinstall"] = "present"
    "`latest` asks the index each time; `forcereinstall` installs anew each time."
    extra_args: str | None = None
    "Further arguments for `pip install`."
    chdir: str | None = None
    "Directory that relative paths start from."
    executable: str | None = None
    "Path of the pip to use, where there is no virtual environment."
    break_system_packages: bool = False
    "Whether the system's own Python may be changed although it says that it belongs to the system."
    index_url: str | None = None
    "Package index instead of the usual one; may hold credentials."
    extra_index_urls: List[str] = field(default_factory=list)
    "Further package indexes."
    find_links: List[str] = field(default_factory=list)
    "Directories or pages with wheels."
    no_index: bool = False
    "Whether only `find_links` is looked at."
    no_deps: bool = False
    "Whether what packages require is left out."
    constraints: List[str] = field(default_factory=list)
    "Constraints files on the target."
    require_hashes: bool = False
    "Whether every requirement must give its hash."
    overrides: List[str] = field(default_factory=list)
    "Requirements that win over what the packages in `name` ask for themselves (torch==2.9.1)."
    forbid: List[str] = field(default_factory=list)
    "Distributions that must not be there; they are removed first."
    environment: str = observed("present")
    "Whether the virtual environment is there: `present`, `absent`, `planned`."
    unmet: List[List[str]] = observed()
    "What is not as required: name, what is there, what is wanted."

    def validate(self) -> Iterator[str]:
        if not self.name and not self.requirements and not self.forbid:
            yield "pip needs name, requirements or forbid"
        if self.version and len(self.name or []) != 1:
            yield "version speaks of one package, and name must hold just that"
        if self.virtualenv:
            yield from check_path("virtualenv", self.virtualenv)
            if self.executable:
                yield "executable and virtualenv exclude each other"
        if self.overrides and (self.requirements or self.state == "absent"):
            yield "overrides goes with packages in name that are to be present"
        if self.state == "latest" and self.requirements:
            yield "state latest asks for names; a requirements file says itself which versions it wants"
        for one in [*(self.name or []), *self.overrides]:
            try:
                parse(one, "/")
            except ValueError as error:
                yield str(error)

    def observe(self, host: Host) -> PipPackages:
        now = PipPackages()
        wanted = [*self._named(host), *self._filed(host)]
        planned = host.declared("venv", self._venv(host)) if self.virtualenv else None
        if planned:
            every = [*wanted, *self._overridden()]
            found = unmet_there(planned, every, self.forbid, self.state == "absent")
            now.environment, now.unmet = "planned", [list(one) for one in found]
            return now
        target = self._target(host)
        if target is None:
            now.environment = "absent"
            now.unmet = [] if self.state == "absent" else [
                [_satisfying.label(one), "", _satisfying.wanted(one)] for one in [*wanted, *self._overridden()]
            ]
            return now
        now.unmet = [list(one) for one in self._unmet(host, wanted, target)]
        return now

    def diff(self, now: PipPackages) -> List[Change]:
        found = [Change(name, have or None, want) for name, have, want in now.unmet or []]
        if self.state == "forcereinstall" and not getattr(self, "_done", False):
            listed = {one.field for one in found}
            names = self.name or [self.requirements or ""]
            found += [Change(one, "installed", "installed anew") for one in names if one not in listed]
        return found

    def action(self, now: PipPackages, changes: List[Change]) -> str:
        if not changes:
            return "none"
        if all(one.after == "absent" for one in changes):
            return "delete"
        return "create" if not any(one.before for one in changes) else "update"

    def converge(self, now: PipPackages, host: Host) -> None:
        target = self._made(host)
        self._keep(host, target)
        pip, environment = self._pip(host, target), environment_of(target.version)
        named = [one for one in self._named(host) if holds(one.marker, environment)]
        wanted = [*named, *(one for one in self._filed(host) if holds(one.marker, environment))]
        if self.state == "absent":
            have = [_satisfying.find(one, read_all(host, target.sites)) for one in wanted]
            pip.take_away([*self.forbid, *(one.name for one in have if one)], [])
            return
        pip.take_away(self.forbid, wanted)
        open_ = {one.name for one in _satisfying.unmet(host, wanted, read_all(host, target.sites), environment)}
        upgrade = {"latest": ["--upgrade"], "forcereinstall": ["--force-reinstall"]}.get(self.state, [])
        alone = ["--no-deps"] if self.no_deps or self.overrides else []
        pip.bring(named, open_, [*upgrade, *alone], host.expand(self.requirements or ""))
        if self.overrides:
            installed = read_all(host, target.sites)
            needs = {text for one in wanted for text in self._needs(installed, one, environment)}
            pip.install([*upgrade, *sorted(needs), *self.overrides])
        self._done = True

    def predict(self, now: PipPackages, host: Host) -> None:
        if not self.virtualenv:
            target = self._target(host)
            if target:
                self._keep(host, target)
            for site in target.sites if target else []:
                host.opaque(site)
            return
        venv = self._venv(host)
        host.touch_image(venv, whole=True, link=True)
        planned = host.declared("venv", venv)
        if not planned:
            settings = settings_of(host, venv)
            planned = {
                "python": version_of(settings), "home": settings.get("home", ""), "prompt": settings.get("prompt"),
                "system": settings.get("include-system-site-packages", "").lower() == "true",
                "packages": {}, "fresh": now.environment == "absent",
            }
        wanted = [*self._named(host), *self._filed(host), *self._overridden()]
        host.opaque(venv)
        host.declare("venv", venv, after(planned, wanted, self.forbid, self.state == "absent", self.no_deps))

    def result(self, now: PipPackages, after: PipPackages, host: Host) -> Dict[str, Any]:
        return {
            "name": self.name, "requirements": self.requirements, "state": self.state, "version": self.version,
            "virtualenv": self.virtualenv, "packages": [list(one) for one in now.unmet or []],
        }

    def provides(self) -> List[Address]:
        return [("venv", self.virtualenv)] if self.virtualenv else []

    def needs(self) -> List[Address]:
        found: List[Address] = [("venv", self.virtualenv)] if self.virtualenv else [("command", "pip")]
        if self.virtualenv_python:
            found.append(("path", self.virtualenv_python))
        paths = [self.requirements, *self.constraints, *(one for one in self.find_links if "://" not in one)]
        found += [("path", os.path.join(self.chdir or "/", one)) for one in paths if one]
        for text in self.name or []:
            one = parse(text, self.chdir or "/")
            found += [("path", one.path)] if one.path else []
        return found

    # what is wanted

    def _venv(self, host: Host) -> str:
        return host.expand(self.virtualenv or "").rstrip("/")

    def _overridden(self) -> List[Requirement]:
        return [parse(one, "/") for one in self.overrides]

    def _named(self, host: Host) -> List[Requirement]:
        found = []
        for text in self.name or []:
            one = parse(host.expand(text), self._base(host), self.editable)
            one = replace(one, editable=one.editable and bool(one.path or one.url))
            if self.version:
                specifier = self.version if self.version[0] in "=<>!~" else f"=={self.version}"
                one = replace(one, specifier=specifier, text=f"{one.text}{specifier}")
            found.append(one)
        return found

    def _filed(self, host: Host) -> List[Requirement]:
        if not self.requirements:
            return []
        return _read_file(host, os.path.join(self._base(host), host.expand(self.requirements)), set())

    def _base(self, host: Host) -> str:
        return host.expand(self.chdir) if self.chdir else host.identity.home

    # what is there

    def _target(self, host: Host) -> Interpreter | None:
        """The interpreter the packages are for; None for an environment that is not there yet."""
        if self.virtualenv:
            venv = self._venv(host)
            settings = settings_of(host, venv)
            if not settings or not host.stat(f"{venv}/bin/python", follow=True).exists:
                return None
            return of_venv(host, venv, settings)
        if self.executable:
            program = host.expand(self.executable)
            program = program if os.path.isabs(program) else host.which(program) or program
            beside = os.path.join(os.path.dirname(program), "python3")
            return ask(host, beside if host.stat(beside, follow=True).exists else default_python(host))
        return ask(host, default_python(host))

    def _unmet(self, host: Host, wanted: List[Requirement], target: Interpreter) -> List[Unmet]:
        installed = read_all(host, target.sites)
        found = [
            Unmet(one, installed[canonical(one)].version, "absent")
            for one in self.forbid if canonical(one) in installed
        ]
        if self.state == "absent":
            for one in wanted:
                have = _satisfying.find(one, installed)
                found += [Unmet(have.name, have.version, "absent")] if have else []
            return found
        environment = environment_of(target.version)
        found += _satisfying.unmet(host, [*wanted, *self._overridden()], installed, environment)
        if self.overrides:
            for one in wanted:
                needs = self._needs(installed, one, environment)
                found += _satisfying.unmet(host, [parse(text) for text in needs], installed, environment)
        if self.state == "latest":
            named = [one.text for one in wanted if one.name and not one.path]
            listed = {canonical(one.name) for one in found}
            for name, version in self._pip(host, target).newer(named) if named else []:
                if canonical(name) not in listed:
                    have = installed.get(canonical(name))
                    found.append(Unmet(name, have.version if have else "", version))
        return list(dict.fromkeys(found))

    def _needs(
        self, installed: Dict[str, Distribution], one: Requirement, environment: Dict[str, str],
    ) -> List[str]:
        """What a package asks for itself, without what is overridden."""
        have = _satisfying.find(one, installed)
        if have is None:
            return []
        names = {other.key for other in self._overridden()}
        return [text for text in _satisfying.needs_of(have, environment, one.extras) if parse(text).key not in names]

    # bringing it there

    def _made(self, host: Host) -> Interpreter:
        """The interpreter, its environment made where it was missing."""
        found = self._target(host)
        if found is not None:
            return found
        venv = self._venv(host)
        if self.virtualenv_command:
            argv = shlex.split(self.virtualenv_command)
            if self.virtualenv_python:
                argv += ["-p", self.virtualenv_python]
            argv += ["--system-site-packages"] if self.virtualenv_site_packages else []
            host.run([*argv, venv], trees=[venv])
        else:
            make = Virtualenv(venv, self.virtualenv_python, self.virtualenv_site_packages or None)
            make.converge(make.observe(host), host)
        found = self._target(host)
        if found is None:
            raise ResourceError(f"{self.virtualenv_command} made no virtual environment in {venv}")
        return found

    def _keep(self, host: Host, target: Interpreter) -> None:
        if self.virtualenv:
            host.touch_image(self._venv(host), whole=True, link=True)
            return
        for one in dict.fromkeys([*target.sites, target.scripts]):
            host.touch_image(one, whole=True, link=True)

    def _pip(self, host: Host, target: Interpreter) -> Pip:
        argv = shlex.split(host.expand(self.executable)) if self.executable else []
        extra = [self.extra_args or "", "--break-system-packages" if self.break_system_packages else ""]
        sources = Sources(
            self.index_url or "", self.extra_index_urls, self.find_links, self.no_index, self.constraints,
            self.require_hashes, " ".join(filter(None, extra)),
        )
        return Pip(host, target, argv, sources, host.expand(self.chdir) if self.chdir else "")


def _read_file(host: Host, path: str, seen: Set[str]) -> List[Requirement]:
    if path in seen:
        return []
    seen.add(path)
    try:
        text = host.read_text(path)
    except FileNotFoundError:
        if host.planning:
            raise Unpredictable(f"{path} is not there yet") from None
        raise ResourceError(f"the requirements file {path} is not there") from None
    lines, others = read_lines(text)
    folder = os.path.dirname(path)
    found = [parse(line, folder) for line in lines]
    for option, other in others:
        if option == "r" and "://" not in other:
            found += _read_file(host, os.path.join(folder, other), seen)
    return found
