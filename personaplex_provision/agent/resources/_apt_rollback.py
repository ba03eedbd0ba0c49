"""Taking a package transaction back, from its image."""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, Set, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._accounts import ACCOUNT_FILES
from personaplex_provision.agent.resources._apt_command import dpkg_options, run_apt
from personaplex_provision.agent.resources._apt_image import MARKS, AptImage, marks, states
from personaplex_provision.agent.resources._survey import Look, Survey, conffiles, look, owned_paths, survey

Packages = Dict[str, List[str]]
"""Version and status by name."""

_KEEP_OLD = dpkg_options("force-confdef,force-confold,force-confmiss")
_HALF = ("half-configured", "half-installed", "unpacked")
_THERE = ("installed", *_HALF)
_NOTES = "/var/lib/dpkg/updates"
_OURS = {*ACCOUNT_FILES, "/etc/ld.so.cache"}


def broken(host: Host) -> bool:
    """Whether dpkg was cut off: its notes were not filed, or a package is neither here nor there."""
    notes = host.list(_NOTES) if host.stat(_NOTES).type == "directory" else []
    return bool(notes) or host.machine.packages().any_is(_HALF)


def repair(host: Host, lock_timeout: float) -> None:
    """Brings dpkg out of an interrupted run: what was unpacked is configured, what lacks a dependency gets it."""
    options = ["--force-confdef", "--force-confold"]
    run_apt(host, ["dpkg", *options, "--configure", "-a"], lock_timeout)
    host.changed()
    if host.machine.packages().any_is(_HALF):
        run_apt(host, ["apt-get", "-y", "-q", *_KEEP_OLD, "-f", "install"], lock_timeout)


def take_back(host: Host, image: AptImage, lock_timeout: float) -> None:
    """Puts packages, marks and files back as the image has them. Raises ResourceError with what could not be."""
    before, after = image.before(), image.after()
    host.changed()
    old, done, now = before["packages"], after["packages"], states(host)
    touched = sorted(name for name in {*old, *done} if old.get(name) != done.get(name))
    new = [name for name in touched if _there(now, name) and not _there(old, name)]
    gone = [name for name in touched if _there(old, name) and (not _there(now, name) or now[name][0] != old[name][0])]
    start, noted = survey([host.store.root]), marks(host)
    if gone:
        _forget(host, [name for name in gone if _there(now, name)], set(after["made"]))
        _reinstall(host, image, [(name, old[name][0]) for name in gone], new, lock_timeout)
    _purge(host, old, touched, lock_timeout)
    _marks(host, noted, before["marks"], after["marks"])
    if any(one.status.startswith("triggers-") for one in host.machine.packages().values()):
        run_apt(host, ["dpkg", "--configure", "--pending"], lock_timeout)
    end = survey([host.store.root])
    traces = _traces(before["survey"], after, start, end)
    if image.part:
        # What the scripts of all parts left is the first one's to take back, once the others are gone.
        traces = traces[0] - set(after["made"]), traces[1] - set(after["changed"])
    _files(host, image, before["survey"], *traces)
    if host.which("ldconfig"):
        host.run(["ldconfig"], check=False)
    if host.stat("/run/systemd/system").type == "directory":
        host.run(["systemctl", "daemon-reload"], check=False)
    now = states(host)
    wrong = [name for name in touched if now.get(name) != old.get(name)]
    if wrong:
        raise ResourceError(f"packages are not as before: {', '.join(wrong)}", hint="see what `apt-get check` says")


def _forget(host: Host, names: List[str], made: Set[str]) -> None:
    """Takes away the configuration files that only the newer version has: dpkg would keep them, and note for good that
    they are there, so that they would count as deleted by hand at the next upgrade."""
    for path in conffiles(names):
        if path in made:
            host.remove(path)


def _reinstall(host: Host, image: AptImage, gone: List[Tuple[str, str]], new: List[str], lock_timeout: float) -> None:
    """The old versions from the .debs kept, the new packages out, in one transaction that apt orders."""
    debs = image.debs()
    wanted = [f"{name.split(':')[0]}_{version}" for name, version in gone]
    missing = [key for key in wanted if key not in debs]
    if missing:
        raise ResourceError(
            f"the way back needs versions that are not to be had: {', '.join(missing)}",
            hint="install them from elsewhere by hand and roll back again",
        )
    argv = [
        "apt-get", "-y", "-q", "--allow-downgrades", "--allow-change-held-packages", "--allow-remove-essential",
        "--no-install-recommends", *_KEEP_OLD, "install", *(debs[key] for key in wanted), *(f"{name}-" for name in new),
    ]
    found = run_apt(host, argv, lock_timeout, len(gone) + len(new))
    if found.rc != 0:
        raise ResourceError("the packages of before could not be installed again", found.stderr.strip()[-2000:])
    host.changed()


def _purge(host: Host, old: Packages, names: List[str], lock_timeout: float) -> None:
    """What was not there at all is purged; of what only the configuration was there, that is kept."""
    now = states(host)
    purged = [name for name in names if name in now and name not in old]
    removed = [name for name in names if name in old and not _there(old, name) and _there(now, name)]
    # Together, so that dpkg finds the order; what only goes in part makes that two steps.
    for verb, some in (("--remove", [*removed, *purged] if removed else []), ("--purge", purged)):
        if not some:
            continue
        found = run_apt(host, ["dpkg", "--force-remove-reinstreq", verb, *some], lock_timeout, len(some))
        if found.rc != 0:
            raise ResourceError(
                "the packages that were installed could not be removed", found.stderr.strip()[-2000:],
                "something installed since may need them: remove that first",
            )
    host.changed()


def _marks(host: Host, start: Dict[str, str], old: Dict[str, str], made: Dict[str, str]) -> None:
    """apt's notes as they were when the rollback started, less what the transaction changed in them."""
    wanted = {name: stanza for name, stanza in start.items() if name in old or name not in made}
    wanted.update({name: stanza for name, stanza in old.items() if stanza != made.get(name)})
    if wanted != marks(host):
        host.write(MARKS, "".join(f"{stanza}\n\n" for stanza in wanted.values()).encode())


def _traces(old: Survey, after: Dict[str, Any], start: Survey, end: Survey) -> Tuple[Set[str], Set[str]]:
    """The paths that the transaction made and changed, and those that taking the packages back did."""
    made = {path for path in end if path not in start and path not in old}
    changed = {path for path, seen in old.items() if end.get(path) != start.get(path) and end.get(path) != seen}
    return made | set(after["made"]), changed | set(after["changed"])


def _files(host: Host, image: AptImage, old: Survey, made: Set[str], changed: Set[str]) -> None:
    owned = owned_paths()
    for path in sorted(made, reverse=True):
        # A directory comes after what was made inside it; what is left in it then came later and goes with it.
        if look(path) and path not in owned and path not in _OURS:
            host.remove(path)
    for path in sorted(changed):
        if path not in _OURS and look(path) != old[path]:
            _put_back(host, image, path, old[path])


def _put_back(host: Host, image: AptImage, path: str, seen: Look) -> None:
    mode, uid, gid = int(seen[0]), int(seen[1]), int(seen[2])
    now = look(path)
    if now and stat.S_IFMT(int(now[0])) != stat.S_IFMT(mode):
        host.remove(path)
        now = []
    if stat.S_ISLNK(mode):
        if now[3:] != seen[3:]:
            host.symlink(str(seen[3]), path)
        if look(path)[1:3] != [uid, gid]:
            host.chown(path, uid, gid)
        return
    if stat.S_ISDIR(mode):
        host.mkdir(path)
    elif stat.S_ISREG(mode):
        data = image.file(path)
        if data is None and not now:
            return
        if data is not None and (not now or host.read(path) != data):
            if not os.path.isdir(os.path.dirname(path)):
                return
            host.write(path, data, mode=0o600)
        if data is not None:
            os.utime(path, ns=(int(seen[4]), int(seen[4])))
    else:
        return
    if look(path)[1:3] != [uid, gid]:
        host.chown(path, uid, gid)
    if stat.S_IMODE(int(look(path)[0])) != stat.S_IMODE(mode):
        host.chmod(path, stat.S_IMODE(mode))


def _there(packages: Packages, name: str) -> bool:
    return name in packages and packages[name][1] in _THERE
