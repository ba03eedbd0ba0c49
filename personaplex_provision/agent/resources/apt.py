"""The `apt` kind."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Literal, Tuple

from personaplex_provision.agent.connection import PACKAGES
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.packages import Package
from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.agent.resource import (
    Address,
    Apart,
    Change,
    Resource,
    ResourceError,
    Unpredictable,
    observed,
)
from personaplex_provision.agent.resources import _deb as deb
from personaplex_provision.agent.resources._apt_command import (
    LISTS,
    dpkg_options,
    stale_lists,
    update_lists,
    wait_for_unlock,
)
from personaplex_provision.agent.resources._apt_image import ARCHIVES, SIZE, AptImage, image_name
from personaplex_provision.agent.resources._apt_rollback import broken, repair, take_back
from personaplex_provision.agent.resources._apt_spec import LATER, SPEC, lacking, lost_versions, name_of, pinned
from personaplex_provision.agent.resources._apt_transaction import Transaction, advice, guard, simulate
from personaplex_provision.agent.resources._debian_version import compare
from personaplex_provision.agent.resources._repack import installed_size

EXAMPLE = """
- name: what the build needs
  apt:
    name: [build-essential, git, libopus-dev]
    update_cache: true
    cache_valid_time: 3600
"""


@dataclass
class Apt(Resource):
    """Debian packages.

    The plan shows the whole transaction, with what comes along and goes. Rollback is exact when packages were only
    installed: they are purged, and what their scripts left behind, users, links and files, goes too. Versions that
    were replaced or removed come back from .deb files kept before, fetched or made from what is installed; what their
    scripts did to data of their own stays, so that this is best-effort. Where no .deb is to be had and the disk has
    no room to make one, the plan says that the step cannot be taken back. A dpkg that was cut off is repaired first.
    """

    kind = "apt"
    reversible = "best-effort"
    reversible_why = (
        "Packages that were only installed are purged with all their scripts made: exact. Versions that were replaced "
        "or removed come back from kept .deb files, whose scripts run again: best-effort. Where no .deb of an old "
        "version is to be had it is irreversible. Fetched package lists stay."
    )
    aliases = {
        "package": "name", "pkg": "name", "update-cache": "update_cache", "install-recommends": "install_recommends",
        "default-release": "default_release", "allow-downgrade": "allow_downgrade",
        "allow_downgrades": "allow_downgrade", "allow-downgrades": "allow_downgrade",
    }
    exclusive = ("dpkg",)
    fleeting = ("lists", "size", "image")
    slow = True
    together = ("name", "state", "update_cache", "cache_valid_time", "force_apt_get", "forbid")

    name: list[str] | None = None
    "Packages, each as `name`, `name=version` (the version may have `*`) or `name>=version`."
    state: Literal["present", "absent", "latest"] = "present"
    "`present` leaves an installed version alone, `latest` brings the newest that the lists know."
    deb: str | None = None
    "A .deb file on the host, or its address, to install instead of `name`."
    upgrade: Literal["no", "yes", "safe", "full", "dist"] = "no"
    "Whether everything is brought up to date: `yes` and `safe` remove nothing, `full` and `dist` may."
    update_cache: bool = False
    "Whether the package lists are fetched first when they are older than `cache_valid_time`."
    cache_valid_time: int = 0
    "Seconds for which package lists are good enough; at least five minutes."
    install_recommends: bool | None = None
    "Whether recommended packages come along; as the host is set up when left out."
    purge: bool = False
    "Whether configuration files of removed packages go too."
    autoremove: bool = False
    "Whether packages that nothing needs any more are removed; alone, or along with the rest."
    default_release: str | None = None
    "Release that packages are taken from (`bookworm-backports`)."
    allow_downgrade: bool = False
    "Whether a package may get an older version than it has."
    allow_change_held_packages: bool = False
    "Whether packages that are on hold may be changed."
    allow_unauthenticated: bool = False
    "Whether packages whose signature cannot be checked may be installed."
    only_upgrade: bool = False
    "Whether only packages that are installed already are brought up to date."
    fail_on_autoremove: bool = False
    "Whether the task fails instead of removing any package."
    force_apt_get: bool = False
    "Accepted for playbooks that use it: it is always apt-get."
    dpkg_options: str = "force-confdef,force-confold"
    "Options for dpkg, separated by commas; these two keep configuration files that were edited."
    lock_timeout: int = 60
    "Seconds to wait while another program holds the package lock."
    forbid: list[str] = field(default_factory=list)
    "Names with `*` that must not be installed by any way: the whole transaction is refused then."
    lists: str = observed("")
    "Why the package lists are to be fetched first."
    missing: dict[str, str] = observed(None)
    "What is not as wanted: the package and its version now."
    transaction: list[list[str]] = observed(None)
    "Every package that changes: name, version before, version after. None when that is not known yet."
    size: str = observed("")
    "How many packages change, how much is to be fetched and how the space on the disk changes."
    room: list[int] = observed(None)
    "Bytes to fetch, and bytes more on the disk."
    reason: str = observed("")
    "Why the transaction is not known yet."
    lost: list[str] = observed(None)
    "Packages whose present version cannot be had again."
    image: str = observed("")
    "Name of the image of the packages before."
    part: int = observed(0)
    "Which part of a transaction of several tasks this one was; 0 for the first, who answers for all of it."

    def touches_connection(self, user: str) -> bool:
        named = {name_of(one) for one in self.name or ()}
        return self.state != "present" and bool(named & set(PACKAGES))

    def validate(self) -> Iterator[str]:
        asked = [self.name is not None, self.deb is not None, self.upgrade != "no"]
        if sum(asked) > 1:
            yield "name, deb and upgrade cannot go together: make a task of each"
        if not any(asked) and not self.update_cache and not self.autoremove:
            yield "nothing is asked for: give name, deb, upgrade, update_cache or autoremove"
        for spec in self._asked():
            if spec == "*" and self.state == "latest":
                continue
            if re.search(r"[*?\[]", spec.split("=")[0]):
                yield (
                    f'"{spec}": what a pattern matches depends on the package lists of the moment, so no plan could be '
                    "kept: name the packages"
                )
            elif not SPEC.match(spec):
                yield f'"{spec}" is not a package: write name, name=version or name>=version'
            elif self.state == "absent" and "=" in spec:
                yield f'"{spec}": a package is removed by its name alone'

    def observe(self, host: Host) -> Apt:
        missing = self._missing(host)
        newest = self.state == "latest" or self.upgrade != "no"
        bare = self.name is None and self.deb is None and self.upgrade == "no" and not self.autoremove
        if not (missing or newest or bare or self.autoremove_alone):
            return Apt(missing={}, transaction=[])
        lists = stale_lists(host, self.update_cache, self.cache_valid_time)
        if self.state == "absent" and self.name is not None:
            lists = ""
        if bare:
            return Apt(lists=lists)
        found = Apt(lists=lists, missing=missing, image=image_name(host))
        try:
            if broken(host):
                raise Unpredictable("dpkg was interrupted; it is repaired first")
            if lists and (newest or missing) and self.deb is None:
                raise Unpredictable(f"{lists}; they are fetched first")
            if self.deb is not None and not host.stat(deb.local_path(host, self.deb), follow=True).exists:
                raise Unpredictable(f"{self.deb} is not there yet")
            done = self._simulate(host, missing)
        except Unpredictable as why:
            if host.planning and not missing:
                raise
            found.reason = str(why)
            return found
        if done.error:
            found.reason = done.error
            return found
        guard(done, self.forbid, self.allow_downgrade)
        found.transaction = [list(one) for one in done.steps]
        found.size, found.room = done.said, [done.fetch, done.disk]
        found.lost = lost_versions(host, done.steps)
        if not done.steps:
            # A name that another installed package provides.
            found.missing = {}
        return found

    def _simulate(self, host: Host, missing: Dict[str, str]) -> Transaction:
        done = simulate(host, self._arguments(host, missing))
        if self.deb is not None and missing and not done.steps and not done.error:
            # apt takes a colon in a file's name for an architecture and then silently does nothing.
            done.error = f"apt-get does not take {self.deb} for a package: give the file a plain name"
        return done

    def diff(self, now: Apt) -> List[Change]:
        steps = {one[0]: one for one in now.transaction or []}
        if now.missing is None:
            return [Change("package lists", now.lists, "fetched")] if now.lists else []
        if now.transaction is None:
            later = LATER if now.lists else f"(known after apply; now: {now.reason.splitlines()[0]})"
            return [
                Change(name, have or None, None if self.state == "absent" else pinned(self._asked(), name) or later)
                for name, have in now.missing.items()
            ] or [Change("packages", None, later)]
        found = []
        for name in dict.fromkeys([*now.missing, *map(name_of, self._asked())]):
            step = steps.pop(name, None)
            if step:
                found.append(Change(name, step[1] or None, step[2] or None))
        found += [Change(name, old or None, new or None) for name, (_, old, new) in sorted(steps.items())]
        return [*found, Change("transaction", None, now.size)] if found else []

    def action(self, now: Apt, changes: List[Change]) -> str:
        if not changes:
            return "none"
        if self.state == "absent" or (now.transaction and not any(one[2] for one in now.transaction)):
            return "delete"
        fresh = bool(now.missing) and not any((now.missing or {}).values())
        return "create" if fresh else "update"

    def reversibility(self, now: Apt | None) -> str:
        if now is None:
            return self.reversible
        if now.missing is None:
            return "exact"
        if now.lost:
            return "irreversible"
        if now.transaction is None:
            return "best-effort"
        return "best-effort" if any(one[1] for one in now.transaction) else "exact"

    def converge(self, now: Apt, host: Host) -> None:
        if self.deb is not None and deb.is_url(self.deb):
            deb.fetch(host, self.deb)
        if now.lists:
            self._update(host)
        if now.missing is None:
            return
        if broken(host):
            repair(host, self.lock_timeout)
            host.changed()
        missing = self._missing(host)
        arguments = self._arguments(host, missing)
        done = self._simulate(host, missing)
        if done.error:
            raise ResourceError("apt-get refuses", done.error, advice(done.error, bool(now.lists or self.update_cache)))
        guard(done, self.forbid, self.allow_downgrade)
        from personaplex_provision.agent.resources._apt_carrying import carry_out  # here: a plan has no use for it

        carry_out(host, AptImage(host, now.image), arguments, done, now.lost or [], self.lock_timeout)

    def unprepared(self, now: Apt) -> bool:
        return bool(now.lists) and self.name is not None and now.missing is not None

    def prepare(self, now: Apt, host: Host) -> Apt:
        self._update(host)
        found = self.observe(host)
        # What was journaled stays promised.
        return replace(found, image=now.image, lost=now.lost, missing=found.missing or {})

    def joins(self, now: Apt) -> bool:
        removes = any(not one[2] for one in now.transaction or [])
        plain = self.state != "absent" and not (self.purge or self.autoremove) and self._asked() != ["*"]
        return self.name is not None and plain and now.transaction is not None and not now.lists and not removes

    def share(self, now: Apt, number: int) -> Apt:
        return replace(now, part=number)

    def converge_together(
        self, now: Apt, others: List[Tuple[Apt, Apt]], host: Host, begin: Callable[[], None],
    ) -> None:
        specs = [spec for one, found in [(self, now), *others] for spec in one._specs(found.missing or {})]
        arguments = [*self._options(), "install", *specs]
        done = simulate(host, arguments)
        parts = [[tuple(step) for step in one.transaction or []] for one in (now, *(found for _, found in others))]
        if done.error or sorted(done.steps) != sorted(step for part in parts for step in part):
            raise Apart
        from personaplex_provision.agent.resources._apt_carrying import carry_out

        begin()
        promised = [name for one in (now, *(found for _, found in others)) for name in one.lost or []]
        names = [[step[0] for step in part] for part in parts[1:]]
        carry_out(host, AptImage(host, now.image), arguments, done, promised, self.lock_timeout, names)

    def _update(self, host: Host) -> None:
        update_lists(host, self.lock_timeout)
        host.changed()

    def predict(self, now: Apt, host: Host) -> None:
        fetch, disk = now.room or (0, 0)
        going = [name for name, old, new in now.transaction or [] if old and old != new]
        host.need(ARCHIVES, fetch)
        host.need("/usr", disk)
        host.need(host.store.root, SIZE + installed_size(going), image=True)
        for name, _, version in now.transaction or []:
            host.declare("package", name, Package(name, version, "installed", "") if version else False)
        for name in now.missing or {}:
            if now.transaction is not None:
                continue
            version = pinned(self._asked(), name) or LATER
            host.declare("package", name, Package(name, version, "installed", "") if self.state != "absent" else False)

    def restore(self, before: Apt, host: Host) -> None:
        """The packages, their marks and what their scripts made, by the image; nothing when none was finished."""
        image = AptImage(host, before.image, before.part) if before.image else None
        if image is not None and image.exists():
            take_back(host, image, self.lock_timeout)

    def standing(self, host: Host) -> Dict[str, Any]:
        """The versions of the packages that are asked for by name."""
        there = host.packages()
        names = [name_of(one) for one in self._asked() if one != "*"]
        return {one: there[one].version if one in there and there[one].status == "installed" else "" for one in names}

    def recover(self, before: Apt, host: Host) -> None:
        wait_for_unlock(host, self.lock_timeout)  # what an agent that was killed had started goes on
        host.changed()
        if broken(host):
            repair(host, self.lock_timeout)

    def provides(self) -> List[Address]:
        if self.state == "absent":
            return []
        return [("package", name_of(spec)) for spec in self._asked()]

    def needs(self) -> List[Address]:
        return [("path", self.deb)] if self.deb and not deb.is_url(self.deb) else []

    def result(self, now: Apt, after: Apt, host: Host) -> Dict[str, Any]:
        fetched = host.stat(LISTS).mtime // 10**9
        return {"cache_updated": bool(now.lists), "cache_update_time": fetched, "packages": now.transaction or []}

    @property
    def autoremove_alone(self) -> bool:
        """Whether the task is to remove what nothing needs, and no more."""
        return self.autoremove and self.name is None and self.deb is None and self.upgrade == "no"

    def _asked(self) -> List[str]:
        return [one.strip() for part in self.name or [] for one in part.split(",") if one.strip()]

    def _missing(self, host: Host) -> Dict[str, str]:
        """The packages that are not as wanted, with the version they have now."""
        packages = host.packages()
        if self.deb is not None:
            held = deb.contents(host, self.deb)
            if held is None:
                return {self.deb: ""}
            have = packages.get(held[0])
            there = have is not None and have.status == "installed"
            if not there or have is None:
                return {held[0]: ""}
            older = compare(have.version, held[1])
            return {held[0]: have.version} if older < 0 or (older > 0 and self.allow_downgrade) else {}
        return lacking(packages, self._asked(), self.state, self.purge, self.only_upgrade)

    def _options(self) -> List[str]:
        """apt-get's options."""
        found = dpkg_options(self.dpkg_options)
        for wanted, flag in (
            (self.allow_downgrade, "--allow-downgrades"), (self.only_upgrade, "--only-upgrade"),
            (self.allow_change_held_packages, "--allow-change-held-packages"), (self.purge, "--purge"),
            (self.allow_unauthenticated, "--allow-unauthenticated"), (self.autoremove, "--auto-remove"),
            (self.fail_on_autoremove, "--no-remove"),
        ):
            found += [flag] if wanted else []
        if self.install_recommends is not None:
            found += ["-o", f"APT::Install-Recommends={'yes' if self.install_recommends else 'no'}"]
        if self.default_release:
            found += ["-t", self.default_release]
        return found

    def _specs(self, missing: Dict[str, str]) -> List[str]:
        """The packages to install, as apt-get takes them."""
        specs = [one for one in self._asked() if self.state == "latest" or name_of(one) in missing]
        return [name_of(one) if ">=" in one else one for one in specs]

    def _arguments(self, host: Host, missing: Dict[str, str]) -> List[str]:
        """apt-get's arguments for what is missing."""
        found = self._options()
        everything = self.state == "latest" and self._asked() == ["*"]
        if self.upgrade in ("full", "dist"):
            return [*found, "dist-upgrade"]
        if self.upgrade in ("yes", "safe") or everything:
            return [*found, "upgrade", "--with-new-pkgs"]
        if self.deb is not None:
            return [*found, "install", deb.local_path(host, self.deb)]
        if self.autoremove_alone:
            return [*found, "autoremove"]
        if self.state == "absent":
            return [*found, "remove", *missing]
        return [*found, "install", *self._specs(missing)]
