"""Many hosts side by side: as many at once as this machine can take, none held up by one that does not answer."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from personaplex_provision.runs.hostrun import HostRun

PATIENCE = 1.0
"Seconds after which a host that is still being reached gives its place to another."
A_CORE = 25
"Hosts at once for each processor; more would only contend."
A_HOST = 6
"File descriptors that a host may take."
SPARE = 64
"File descriptors for everything else."


def at_once(forks: int) -> int:
    """How many hosts to work on at once when `forks` are asked for."""
    with contextlib.suppress(AttributeError):  # where the system knows on which processors we may run
        forks = min(forks, A_CORE * len(os.sched_getaffinity(0)))
    return max(min(forks, (_descriptors() - SPARE) // A_HOST), 1)


def _descriptors() -> int:
    """How many files this process may have open; the limit is raised as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 20 if found == resource.RLIM_INFINITY else found


def each(hosts: Sequence[HostRun], work: Callable[[HostRun], Any], forks: int) -> None:
    """Does `work` for every host. Raises what the first of them raised, once all have ended."""
    if len(hosts) == 1:
        work(hosts[0])
        return
    Crowd(at_once(forks)).each(hosts, work)


class Crowd:
    """The hosts that are being worked on; lives until the last of them is done."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._active: set[HostRun] = set()
        self._changed = threading.Condition()
        self._broken: list[BaseException] = []

    def each(self, hosts: Sequence[HostRun], work: Callable[[HostRun], Any]) -> None:
        """Starts one after the other as places become free."""
        threads = []
        for host in hosts:
            with self._changed:
                while not self._room():
                    self._changed.wait(PATIENCE / 4)
                self._active.add(host)
            threads.append(threading.Thread(target=self._one, args=(host, work), name=host.name, daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()
        if self._broken:
            raise self._broken[0]

    def _room(self) -> bool:
        late = time.monotonic() - PATIENCE
        waited = sum(0 < host.reaching < late for host in self._active)
        # A bound there is for those too: a network that is gone must not become a thread for every host.
        return len(self._active) - waited < self.places and len(self._active) < 4 * self.places

    def _one(self, host: HostRun, work: Callable[[HostRun], Any]) -> None:
        try:
            work(host)
        except BaseException as error:
            self._broken.append(error)
        finally:
            with self._changed:
                self._active.discard(host)
                self._changed.notify()
