"""systemd's units: asking about one, and the paths that enabling or masking it will change."""

from __future__ import annotations

import os
import re
from typing import Dict, Iterable, List, Optional, Sequence, Set

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.resource import ResourceError, Unpredictable

_ASKED = (
    "Job", "LoadState", "ActiveState", "SubState", "UnitFileState", "FragmentPath", "NeedDaemonReload", "Type",
    "RemainAfterExit",
)
"The job before the state: a unit that is started in between is found to be started, and not to be neither."
_SUFFIXES = ("service", "socket", "timer", "target", "path", "mount", "automount", "swap", "slice", "scope", "device")
_SYSV = [f"/etc/rc{level}.d" for level in "0123456S"]


def unit_name(name: str) -> str:
    """`ssh` as systemd means it: `ssh.service`."""
    return name if name.rsplit(".", 1)[-1] in _SUFFIXES else f"{name}.service"


def running(host: Host) -> bool:
    """Whether systemd is this host's init."""
    return host.stat("/run/systemd/system").type == "directory"


def systemctl(scope: str) -> List[str]:
    """The start of a command line for the manager of a scope (`system`, `user`, `global`)."""
    return ["systemctl", "--no-pager", *([] if scope == "system" else [f"--{scope}"])]


def manager_environment(host: Host, scope: str) -> Dict[str, str]:
    """What a user's systemctl needs to find its manager."""
    if scope != "user":
        return {}
    place = f"/run/user/{host.identity.uid}"
    return {"XDG_RUNTIME_DIR": place, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={place}/bus"}


def folder(host: Host, scope: str) -> str:
    """Where the administrator's units of a scope are, and the links by which units are enabled."""
    if scope == "user":
        return os.path.join(host.identity.home, ".config/systemd/user")
    return "/etc/systemd/user" if scope == "global" else "/etc/systemd/system"


def ask(host: Host, name: str, scope: str) -> Dict[str, str]:
    """Properties of a unit; without a manager only those that its file tells. Raises Unpredictable while planning."""
    moved = unit_paths(host, name, scope)
    if not running(host) or scope == "global":
        return _ask_files(host, name, scope, moved)
    found = show(host, name, scope, _ASKED, moved)
    if found.rc != 0:
        if host.planning and scope == "user":
            raise Unpredictable(f"the manager of {host.identity.name} does not run yet")
        hint = _HINT_USER if scope == "user" else ""
        raise ResourceError(f"systemctl show {name} failed", found.stderr.strip(), hint)
    shown = properties(found)
    if shown.get("UnitFileState") == "generated":
        # A script in /etc/init.d: only its links in /etc/rc?.d tell whether it is enabled.
        shown["Enabled"] = host.query([*systemctl(scope), "is-enabled", name]).stdout.strip().splitlines()[-1]
    return shown


def show(host: Host, name: str, scope: str, asked: Sequence[str], reads: Sequence[str] = ()) -> Completed:
    """What `systemctl show` says of a unit. Raises Unpredictable while planning."""
    argv = [*systemctl(scope), "show", name, f"--property={','.join(asked)}"]
    return host.query(argv, reads, manager_environment(host, scope),
                      shortcut=lambda: host.machine.manager.show(name, asked) if directly(host, scope) else None)


def properties(found: Completed) -> Dict[str, str]:
    """The properties of a unit by name."""
    return dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)


def directly(host: Host, scope: str) -> bool:
    """Whether the manager can be asked without systemctl, which would ask it in the same way.

    As root, for the system's own units; not where systemctl is another program or is told how to ask, and not in a
    chroot, where it does not ask at all.
    """
    if scope != "system" or host.identity.foreign or os.geteuid() != 0:
        return False
    if host.which("systemctl") not in ("/usr/bin/systemctl", "/bin/systemctl"):
        return False
    if any(name.startswith(("SYSTEMD_", "SYSTEMCTL_", "DBUS_")) for name in host.environment):
        return False
    try:
        return os.path.samestat(os.stat("/"), os.stat("/proc/1/root"))
    except OSError:
        return False


def _ask_files(host: Host, name: str, scope: str, moved: List[str]) -> Dict[str, str]:
    if host.which("systemctl") is None and not host.planning:
        return {"LoadState": "not-found"}
    said = host.query([*systemctl(scope), "is-enabled", name], reads=moved).stdout.strip()
    if not said or said == "not-found":
        return {"LoadState": "not-found"}
    return {"LoadState": "masked" if said.startswith("masked") else "loaded", "UnitFileState": said}


def unit_paths(host: Host, name: str, scope: str) -> List[str]:
    """Where the unit's own file and its drop-ins would be, written by an administrator."""
    top = folder(host, scope)
    found = [f"{top}/{name}", f"{top}/{name}.d"]
    template = re.sub(r"@[^.]*\.", "@.", name)
    return found if template == name else [*found, f"{top}/{template}", f"{top}/{template}.d"]


def link_paths(host: Host, name: str, scope: str) -> List[str]:
    """Every path that enabling, disabling, masking or unmasking a unit makes or removes, directories first."""
    top = folder(host, scope)
    found = [f"{top}/{name}"]
    seen: Set[str] = set()
    todo = [name]
    while todo:
        unit = todo.pop()
        if unit in seen:
            continue
        seen.add(unit)
        install = _install(host, unit, scope)
        for key, suffix in (("WantedBy", "wants"), ("RequiredBy", "requires"), ("UpheldBy", "upholds")):
            for target in install.get(key, []):
                found += [f"{top}/{target}.{suffix}", f"{top}/{target}.{suffix}/{_instance(unit, install)}"]
        found += [f"{top}/{alias}" for alias in install.get("Alias", [])]
        todo += install.get("Also", [])
    found += _existing_links(host, top, seen)
    return list(dict.fromkeys(found))


def is_sysv(shown: Dict[str, str]) -> bool:
    """Whether the unit stands for a script in /etc/init.d."""
    return "generator" in shown.get("FragmentPath", "") or shown.get("UnitFileState") == "generated"


def sysv_links(host: Host) -> List[str]:
    """The directories of links by which a script in /etc/init.d is enabled."""
    return [path for path in _SYSV if host.stat(path).type == "directory"]


def log_tail(host: Host, name: str, scope: str) -> str:
    """The last lines a unit logged, for an error message."""
    unit = f"--user-unit={name}" if scope == "user" else f"--unit={name}"
    argv = ["journalctl", "--no-pager", "-q", "-n", "15", "-o", "cat", unit]
    if host.which("journalctl") is None:
        return ""
    try:
        return host.query(argv, env=manager_environment(host, scope)).stdout.strip()
    except (ResourceError, Unpredictable):
        return ""


def known_units(host: Host, scope: str) -> List[str]:
    """Names of all units that have a file."""
    argv = [*systemctl(scope), "list-unit-files", "--no-legend", "--plain"]
    text = host.query(argv, env=manager_environment(host, scope)).stdout
    return [line.split()[0] for line in text.splitlines() if line.strip()]


def _install(host: Host, unit: str, scope: str) -> Dict[str, List[str]]:
    """The [Install] section of a unit with its drop-ins."""
    said = host.query(
        [*systemctl(scope), "cat", unit], env=manager_environment(host, scope),
        shortcut=lambda: host.machine.manager.cat(unit) if running(host) and directly(host, scope) else None,
    )
    found: Dict[str, List[str]] = {}
    section = ""
    for line in said.stdout.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Install]" and "=" in line and line[0] not in "#;":
            key, value = (part.strip() for part in line.split("=", 1))
            found.setdefault(key, []).extend(_expand(value, unit).split())
    return found


def _expand(text: str, unit: str) -> str:
    prefix, _, instance = unit.rsplit(".", 1)[0].partition("@")
    for letter, value in (("%i", instance), ("%I", instance), ("%p", prefix), ("%n", unit), ("%%", "%")):
        text = text.replace(letter, value)
    return text


def _instance(unit: str, install: Dict[str, List[str]]) -> str:
    default: Optional[List[str]] = install.get("DefaultInstance")
    return unit.replace("@.", f"@{default[0]}.") if default and "@." in unit else unit


def _existing_links(host: Host, top: str, units: Iterable[str]) -> List[str]:
    """Links that enable one of `units` already, wherever they are: disabling removes them."""
    found = []
    names = host.list(top) if host.stat(top, follow=True).type == "directory" else []
    for name in names:
        path = f"{top}/{name}"
        entry = host.stat(path)
        if entry.type == "link" and os.path.basename(entry.target) in units:
            found.append(path)
        elif entry.type == "directory" and name.endswith((".wants", ".requires", ".upholds")):
            inside = [f"{path}/{one}" for one in host.list(path) if one in units]
            found += [path, *inside] if inside else []
    return found


_HINT_USER = "the user has no running manager: `loginctl enable-linger USER` starts one without a login"
