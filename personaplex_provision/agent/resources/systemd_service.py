"""The `systemd_service` kind, also known as `systemd` and `service`."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, Literal

from personaplex_provision.agent.connection import unit_matters
from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import (
    Address,
    Change,
    Resource,
    ResourceError,
    Unpredictable,
    observed,
)
from personaplex_provision.agent.resources import _units as units

EXAMPLE = """
- name: the assistant answers, now and after a reboot
  systemd_service:
    name: personaplex
    state: started
    enabled: true
"""

_TOLD = ("LoadState", "ActiveState", "SubState", "UnitFileState", "FragmentPath")
_SETTLE = 0.25  # seconds in which a service that cannot start has usually died


@dataclass
class SystemdService(Resource):
    """A systemd unit: whether it runs, whether it starts at boot, whether it is masked.

    Rollback is exact for these three: what was stopped is stopped again, what was enabled or masked is so again.
    A restart cannot be taken back, but leaves the unit running as it was. Where systemd is not the init (a container,
    WSL without `systemd=true`) enabling and masking work; starting is refused with the reason.
    """

    kind = "systemd_service"
    fleeting = ("shown",)
    reversible = "best-effort"
    reversible_why = (
        "Running, enabled and masked are put back as they were: exact. A restart or reload of a unit that was running "
        "has happened; the unit runs as before: best-effort."
    )
    aliases = {"service": "name", "unit": "name", "daemon-reload": "daemon_reload", "daemon-reexec": "daemon_reexec"}
    unmanaged = ("daemon_reload", "daemon_reexec", "scope", "no_block", "force")
    slow = True

    name: str | None = None
    "The unit; `.service` is added when it has no suffix. May be left out for `daemon_reload` alone."
    state: Literal["started", "stopped", "restarted", "reloaded"] | None = None
    "`started` and `stopped` are states; `restarted` and `reloaded` are done every time."
    enabled: bool | None = None
    "Whether the unit starts at boot."
    masked: bool | None = None
    "Whether the unit cannot be started by anything."
    daemon_reload: bool = False
    "Whether systemd reads its unit files again first, when some were changed; before a start it always does."
    daemon_reexec: bool = False
    "Whether systemd itself is started anew, every time."
    scope: Literal["system", "user", "global"] = "system"
    "Whose manager: the system's, that of the task's user, or what holds for every user."
    no_block: bool = False
    "Whether to go on without waiting until the unit is up or down."
    force: bool = False
    "Whether links that stand for another unit are replaced when enabling."
    momentary: bool = observed(False)
    "Whether the unit does its work and is gone (`Type=oneshot`), so that starting it is done every time."
    found: bool = observed(True)
    "Whether there is such a unit."
    stale: bool = observed(False)
    "Whether unit files were changed since systemd read them."
    shown: dict[str, str] = observed(None)
    "What systemd says about the unit."

    def touches_connection(self, user: str) -> bool:
        return self.name is not None and unit_matters(self.name)

    def validate(self) -> Iterator[str]:
        if self.name is None and (self.state or self.enabled is not None or self.masked is not None):
            yield "state, enabled and masked speak of a unit: say which in `name`"
        if self.name is None and not (self.daemon_reload or self.daemon_reexec):
            yield "nothing is asked for: give `name`, `daemon_reload` or `daemon_reexec`"
        asked = self.state or self.daemon_reload or self.daemon_reexec
        if self.name is not None and not asked and self.enabled is None and self.masked is None:
            yield "nothing is asked of the unit: give state, enabled or masked"
        if self.masked and (self.enabled or self.state in ("started", "restarted")):
            yield "a masked unit can neither run nor be enabled"
        if self.scope == "global" and self.state:
            yield "the global scope has no running units: only enabled and masked make sense"

    def observe(self, host: Host) -> SystemdService:
        if self.name is None:
            return SystemdService(scope=self.scope, stale=self.daemon_reload and _stale(host, self.scope))
        unit = units.unit_name(self.name)
        said = host.declared("unit", unit)
        if isinstance(said, dict):
            return SystemdService(self.name, scope=self.scope, **said)
        try:
            shown = units.ask(host, unit, self.scope)
        except Unpredictable:
            if not _file_planned(host, unit, self.scope):
                raise
            # An earlier task writes the unit's file. A unit that is there keeps its state, a new one does not run.
            shown = _shown_now(host, unit, self.scope)
            shown = {**shown, "LoadState": "loaded", "NeedDaemonReload": "yes" if shown else "no"}
        if shown.get("LoadState") == "not-found" and host.planning and _new_packages(host):
            raise Unpredictable(f"whether {unit} exists is known after packages are installed")
        return SystemdService(
            self.name, scope=self.scope, state=_state(shown), enabled=_enabled(shown),
            masked=shown.get("LoadState") == "masked" or shown.get("UnitFileState", "").startswith("masked"),
            momentary=shown.get("Type") == "oneshot" and shown.get("RemainAfterExit") == "no",
            found=shown.get("LoadState") not in ("not-found", "bad-setting", "error"),
            stale=shown.get("NeedDaemonReload") == "yes",
            shown={key: shown[key] for key in _TOLD if key in shown},
        )

    def diff(self, now: SystemdService) -> List[Change]:
        found = []
        if self.daemon_reexec:
            found.append(Change("daemon_reexec", False, True))
        if self.daemon_reload and now.stale:
            found.append(Change("daemon_reload", "unit files were changed", "read again"))
        needed = self.enabled or self.state in ("started", "restarted", "reloaded") or self.masked is None
        if self.name is not None and not now.found and needed:
            return [*found, Change("unit", "not there", "there")]
        if self.masked is not None and self.masked != now.masked:
            found.append(Change("masked", now.masked, self.masked))
        if self.enabled is not None and now.enabled is not None and self.enabled != now.enabled:
            found.append(Change("enabled", now.enabled, self.enabled))
        if self.state is not None and (self._momentary(now) or self.state != now.state):
            found.append(Change("state", now.state, self.state))
        return found

    def action(self, now: SystemdService, changes: List[Change]) -> str:
        if changes and (self._momentary(now) or self.name is None or self.daemon_reexec):
            return "run"
        return "update" if changes else "none"

    def _momentary(self, now: SystemdService) -> bool:
        """Whether what is asked for is done every time."""
        return self.state in ("restarted", "reloaded") or (self.state == "started" and now.momentary)

    def reversibility(self, now: SystemdService | None) -> str:
        was = now is None or now.state == "started"
        return "best-effort" if self.state in ("restarted", "reloaded") and was else "exact"

    def converge(self, now: SystemdService, host: Host) -> None:
        if self.daemon_reexec:
            self._ctl(["daemon-reexec"], host)
        wanted = {change.field for change in self.diff(now)}
        if "unit" in wanted:
            raise self._missing(host)
        running = units.running(host)
        if "daemon_reload" in wanted or (now.stale and running):
            self._ctl(["daemon-reload"], host)
        if self.name is None:
            return
        unit = units.unit_name(self.name)
        if "masked" in wanted:
            self._links(["mask" if self.masked else "unmask"], unit, now, host)
        at_once = {"enabled", "state"} <= wanted and running and self._goes_along(now)
        if "enabled" in wanted:
            flags = [*(["--force"] if self.force and self.enabled else []), *(["--now"] if at_once else [])]
            self._links(["enable" if self.enabled else "disable", *flags], unit, now, host)
        if "state" in wanted:
            self._move(unit, host, at_once)

    def _goes_along(self, now: SystemdService) -> bool:
        """Whether systemctl starts or stops the unit along with its links, in one go: not that of a script."""
        same = self.state == ("started" if self.enabled else "stopped")
        return same and not self.no_block and not units.is_sysv(now.shown or {})

    def _move(self, unit: str, host: Host, done: bool) -> None:
        if not units.running(host):
            raise ResourceError(
                f"{unit} cannot be {self.state}: systemd does not run on this host", hint=_HINT_NO_SYSTEMD
            )
        verb = {"started": "start", "stopped": "stop", "restarted": "restart", "reloaded": "reload-or-restart"}
        if not done:
            self._ctl([verb[self.state or ""], *(["--no-block"] if self.no_block else []), unit], host)
        if self.state != "stopped" and not self.no_block:
            time.sleep(_SETTLE)
            host.changed()
            if units.ask(host, unit, self.scope).get("ActiveState") == "failed":
                raise ResourceError(f"{unit} failed right after it was started", units.log_tail(host, unit, self.scope))

    def predict(self, now: SystemdService, host: Host) -> None:
        if self.name is None:
            return
        state = {"restarted": "started", "reloaded": "started"}.get(self.state or "", self.state) or now.state
        enabled = now.enabled if self.enabled is None else self.enabled
        masked = now.masked if self.masked is None else self.masked
        host.declare("unit", units.unit_name(self.name), {"state": state, "enabled": enabled, "masked": masked})

    def restored_last(self, before: SystemdService) -> bool:
        return self.state in ("restarted", "reloaded") and before.state == "started"

    def restore(self, before: SystemdService, host: Host) -> None:
        """Running, enabled and masked as before; systemd reads the links again, the images put the rest back.

        A unit that was made to read its configuration anew does so once more, now that the old one is back.
        """
        if self.name is None or not before.found:
            return
        unit = units.unit_name(self.name)
        now = self._seen(host)
        if not now.found and not now.masked:
            return
        if now.masked and not before.masked:
            self._ctl(["unmask", unit], host)
        if self.enabled is not None and before.enabled is not None and now.enabled != before.enabled:
            self._ctl(["enable" if before.enabled else "disable", unit], host)
        if units.running(host) and self.scope != "global":
            self._ctl(["daemon-reload"], host)
            if self.restored_last(before):
                self._ctl(["restart" if self.state == "restarted" else "reload-or-restart", unit], host)
            elif before.state != now.state and before.state is not None and self.state is not None:
                self._ctl(["start" if before.state == "started" else "stop", unit], host)
            if before.state == "stopped":
                self._ctl(["reset-failed", unit], host, check=False)
        if before.masked and not now.masked:
            self._ctl(["mask", unit], host)

    def standing(self, host: Host) -> Dict[str, Any]:
        now = self._seen(host) if self.name is not None else None
        return {} if now is None or not now.found else {
            "state": now.state, "enabled": now.enabled, "masked": now.masked,
        }

    def _seen(self, host: Host) -> SystemdService:
        return SystemdService(self.name, scope=self.scope, masked=True, enabled=False, state="stopped").observe(host)

    def provides(self) -> List[Address]:
        return []

    def needs(self) -> List[Address]:
        if self.name is None:
            return []
        unit = units.unit_name(self.name)
        return [("unit", unit), ("path", f"/etc/systemd/system/{unit}")]

    def result(self, now: SystemdService, after: SystemdService, host: Host) -> Dict[str, Any]:
        return {"name": self.name, "state": after.state, "enabled": after.enabled, "status": after.shown or {}}

    def _links(self, argv: List[str], unit: str, now: SystemdService, host: Host) -> None:
        """Enables, disables, masks or unmasks, with the images of every link that may come or go."""
        trees = units.sysv_links(host) if units.is_sysv(now.shown or {}) else []
        touches = [] if units.is_sysv(now.shown or {}) else units.link_paths(host, unit, self.scope)
        self._ctl([*argv, unit], host, touches=touches, trees=trees)

    def _ctl(self, argv: List[str], host: Host, check: bool = True, **images: List[str]) -> None:
        env = units.manager_environment(host, self.scope)
        command = [*units.systemctl(self.scope), *argv]
        host.changed()  # what comes is not told to a connection by which was asked
        found = host.run(command, images.get("touches", []), images.get("trees", []), env=env, check=False)
        if check and found.rc != 0:
            starts = argv[0] in ("start", "restart", "reload-or-restart") or "--now" in argv
            log = units.log_tail(host, argv[-1], self.scope) if starts else ""
            detail = "\n".join(part for part in (found.stderr.strip(), log) if part)
            raise ResourceError(f"systemctl {' '.join(argv)} failed", detail, result={"rc": found.rc})

    def _missing(self, host: Host) -> ResourceError:
        import difflib

        unit = units.unit_name(self.name or "")
        if host.which("systemctl") is None:
            return ResourceError(f"{unit} cannot be managed: there is no systemd on this host", hint=_HINT_NO_SYSTEMD)
        near = difflib.get_close_matches(unit, units.known_units(host, self.scope), n=1, cutoff=0.6)
        hint = f'did you mean "{near[0]}"?' if near else "install the package or write the unit's file first"
        return ResourceError(f"there is no unit {unit} on this host", hint=hint)


def _state(shown: Dict[str, str]) -> Literal["started", "stopped"]:
    active = shown.get("ActiveState", "inactive")
    if active in ("active", "activating", "reloading", "refreshing"):
        return "started"
    if active == "inactive" and shown.get("Job", "0") not in ("", "0"):
        return "started"
    return "stopped"


def _enabled(shown: Dict[str, str]) -> bool | None:
    """Whether a unit is enabled; None for one that cannot be (static, generated, transient)."""
    state = shown.get("UnitFileState", "")
    if state in ("static", "transient"):
        return None
    if state == "generated":
        return shown.get("Enabled") in ("enabled", "generated")
    return state in ("enabled", "enabled-runtime")


def _stale(host: Host, scope: str) -> bool:
    """Whether any loaded unit's files were changed since they were read."""
    if not units.running(host) or scope == "global":
        return False
    if host.declared("manager", scope):
        return False
    argv = [*units.systemctl(scope), "show", "*", "--property=NeedDaemonReload", "--all"]
    try:
        said = host.query(
            argv, [units.folder(host, scope)], units.manager_environment(host, scope),
            shortcut=lambda: host.machine.manager.stale() if units.directly(host, scope) else None,
        )
    except Unpredictable:
        return True
    return "NeedDaemonReload=yes" in said.stdout


def _file_planned(host: Host, unit: str, scope: str) -> bool:
    try:
        found = [path for path in units.unit_paths(host, unit, scope) if host.stat(path, follow=True).exists]
    except Unpredictable:
        return False
    return bool(found)


def _shown_now(host: Host, unit: str, scope: str) -> Dict[str, str]:
    """What the real host says of a unit whose file an earlier task changes; nothing when there is no such unit."""
    if not units.running(host) or scope == "global":
        return {}
    asked = ("LoadState", "ActiveState", "UnitFileState", "FragmentPath", "Type")
    shown = units.properties(units.show(host, unit, scope, asked))
    return {} if shown.get("LoadState") == "not-found" else shown


def _new_packages(host: Host) -> bool:
    """Whether an earlier task installs packages, which may bring the unit."""
    real = host.machine.packages()
    return any(name not in real for name in host.packages())


_HINT_NO_SYSTEMD = "in WSL say `systemd=true` under [boot] in /etc/wsl.conf and restart it with `wsl --shutdown`"
