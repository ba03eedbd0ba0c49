"""Commit-confirm: what may have cut the connection is taken back unless a new connection says that it did not.

Before the first such step the deadline stands in a file of the run, and a process that the agent's end does not reach
watches over it, across a reboot too. A new connection removes the file. When the deadline passes with the file still
there, whoever renames it first takes the run back: the run itself, or the watcher when the run is dead.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import Any, Dict, List

from personaplex_provision.agent import engine
from personaplex_provision.agent.journal import Journal
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.session import Session
from personaplex_provision.agent.store import Store
from personaplex_provision.agent.task import Task

ARMED = "confirm.json"
_EXPIRED = "confirm-expired.json"
_UNITS = "/etc/systemd/system"
_UNIT = """\
[Unit]
Description=Takes back what provision run {run} changed, unless it is confirmed in time
After=local-fs.target

[Service]
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""


class Confirm:
    """The confirmation that one run needs; `timeout` is in seconds from the last step that needed it."""

    def __init__(self, session: Session, journal: Journal, timeout: float = 120.0, mode: str = "auto") -> None:
        self.due = False
        "Whether a step that can cut the connection was begun and nobody has confirmed since."
        self.expired = False
        self._session, self._journal, self._timeout, self._mode = session, journal, timeout, mode
        self._asked = False
        self._steps: List[str] = []

    def arm(self, task: Task) -> None:
        """Before a step that can cut the connection: from now on the way back is taken unless it is confirmed.

        Raises ResourceError when that cannot be promised.
        """
        fresh = not self.due
        self._steps = [*([] if fresh else self._steps), task.name or task.address]
        self.due, self._asked = True, False
        try:
            _write(self._session.store, self._journal.run, time.time() + self._timeout)
            if fresh:
                _watch(self._session.store, self._journal.run)
        except OSError as error:
            self.due = False
            raise ResourceError(
                f"no timer could be armed on the host: {error.strerror or error}",
                "this step can cut the connection, and nothing would take it back then",
                "make that possible, or say --confirm off",
            ) from None

    def request(self) -> None:
        """Asks the controller, once, to come over a new connection."""
        if self._asked:
            return
        self._asked = True
        deadline = time.time() + self._timeout
        _write(self._session.store, self._journal.run, deadline)
        self._journal.write("confirm", run=self._journal.run, steps=self._steps, timeout=self._timeout,
                            mode=self._mode, deadline=round(deadline, 1))

    def settle(self) -> bool:
        """Whether nothing is waited for any longer: it was confirmed, or (`expired`) the deadline has passed."""
        found = _read(self._session.store, self._journal.run)
        if found is None:
            self.due = False
            self._journal.write("confirmed", run=self._journal.run, steps=self._steps)
        elif time.time() > found and _take(self._session.store, self._journal.run):
            self.due, self.expired = False, True
            self._journal.write("diagnostic", severity="error", summary="nobody confirmed over a new connection within "
                                f"{self._timeout:g} seconds: the run is taken back", detail=", ".join(self._steps))
        return not self.due

    def end(self) -> None:
        """The run was taken back: nothing is watched over any longer."""
        forget(self._session.store, self._journal.run)


def disarm(store: Store, run: str) -> Dict[str, Any]:
    """Confirms the newest run whose id begins so: `{"run", "confirmed"}`, False where nothing waits for it."""
    for found in reversed([one for one in store.runs() if one.startswith(run)]):
        with contextlib.suppress(OSError):
            os.unlink(store.path("runs", found, ARMED))
            _sync(store.path("runs", found))
            remove_unit(found)
            return {"run": found, "confirmed": True}
    return {"run": run, "confirmed": False}


def deadline_of(store: Store, run: str) -> float | None:
    """When the run is to be taken back, in seconds since the epoch; None when nothing waits to be confirmed."""
    return _read(store, run)


def expire(store: Store, run: str) -> bool:
    """Takes the right to take the run back; False when it was confirmed, or somebody else does it."""
    return _take(store, run)


def remove_unit(run: str) -> None:
    """Removes what would start the watcher after a reboot."""
    for path in _unit_paths(run):
        with contextlib.suppress(OSError):
            os.unlink(path)


def forget(store: Store, run: str) -> None:
    """Removes all that was kept for the run's confirmation."""
    for name in (ARMED, _EXPIRED):
        with contextlib.suppress(OSError):
            os.unlink(store.path("runs", run, name))
    remove_unit(run)


def _write(store: Store, run: str, deadline: float) -> None:
    folder = store.directory("runs", run)
    beside = os.path.join(folder, f".{ARMED}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        json.dump({"run": run, "deadline": round(deadline, 1)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, os.path.join(folder, ARMED))
    _sync(folder)


def _read(store: Store, run: str) -> float | None:
    try:
        with open(store.path("runs", run, ARMED), encoding="utf-8") as file:
            return float(json.load(file)["deadline"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0  # what cannot be read cannot be waited for


def _take(store: Store, run: str) -> bool:
    try:
        os.rename(store.path("runs", run, ARMED), store.path("runs", run, _EXPIRED))
    except OSError:
        return False
    return True


def _watch(store: Store, run: str) -> None:
    command = engine.watcher(store, run)
    managed = os.geteuid() == 0 and os.path.isdir("/run/systemd/system")
    if managed:
        _write_unit(run, command)
        name = f"provision-confirm-{run}-{os.urandom(2).hex()}"
        # A unit of its own: neither sshd nor a log-out ends it.
        argv = ["systemd-run", "--quiet", "--collect", f"--unit={name}", "--", *command]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=20).returncode == 0:
                return
    subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                     stderr=subprocess.DEVNULL)


def _write_unit(run: str, command: List[str]) -> None:
    unit, link = _unit_paths(run)
    quoted = " ".join('"' + one.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"' for one in command)
    os.makedirs(os.path.dirname(link), exist_ok=True)
    with open(unit, "w", encoding="utf-8") as file:
        file.write(_UNIT.format(run=run, command=quoted))
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.symlink(unit, link)
    _sync(os.path.dirname(link))
    _sync(_UNITS)


def _unit_paths(run: str) -> List[str]:
    name = f"provision-confirm-{run}.service"
    return [f"{_UNITS}/{name}", f"{_UNITS}/multi-user.target.wants/{name}"]


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
