"""Dropping old runs: on the hosts, and among the controller's own records."""

from __future__ import annotations

import contextlib
import os
import time
from datetime import datetime, timezone

from personaplex_provision.agent.record import dataclass
from personaplex_provision.errors import ProvisionError
from personaplex_provision.runs import records
from personaplex_provision.runs.asking import Report, chosen, each, open_host, reached
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.identity import new_run, who
from personaplex_provision.runs.options import Options
from personaplex_provision.runs.outcome import worst


@dataclass(frozen=True)
class Limits:
    """Which runs stay: the newest `keep`, those not older than `older_than` seconds, at most `max_size` bytes."""

    keep: int | None = None
    older_than: float | None = None
    max_size: int | None = None


class Pruning:
    """What goes on some hosts; lives as long as the connections to them."""

    def __init__(self, options: Options, limits: Limits, tell: Report) -> None:
        project, hosts = chosen(options, "")
        self.found: dict[str, Event] = {}
        "By host: `going` and `staying`, and `freed` (bytes) once it was done."
        self.records = old_records(limits) if options.limit is None else []
        "Names of the controller's own records that go; none where only some hosts are meant."
        self._options, self._limits, self._tell = options, limits, tell
        self._hosts = [open_host(project, name, become, tell) for name, become in hosts.items()]

    def look(self) -> None:
        """Asks every host what would go."""
        def one(host: HostRun) -> None:
            host.connect()
            self.found[host.name] = host.prune({"plan": True, **vars(self._limits)})

        each(self._hosts, one, self._tell, self._options)

    def going(self) -> int:
        """How many runs go, over all hosts."""
        return sum(len(one["going"]) for one in self.found.values())

    def drop(self) -> None:
        """Drops what was shown; what an earlier pruning that was cut off left goes in any case."""
        def one(host: HostRun) -> None:
            shown = [each["run"] for each in self.found[host.name]["going"]]
            reply = host.prune({"id_": new_run(), "meta": {"who": who()}, "runs": shown,
                                "lock_timeout": self._options.lock_timeout})
            if reply["type"] == "locked":
                host.outcome.exit = 130
            else:
                self.found[host.name] = reply

        used = [host for host in reached(self._hosts)
                if any(self.found.get(host.name, {}).get(name) for name in ("going", "staying", "left"))]
        each(used, one, self._tell, self._options)
        for name in self.records:
            records.remove(name)

    def exit(self) -> int:
        """The exit code of all that was done."""
        return worst(host.outcome.exit for host in self._hosts)

    def close(self) -> None:
        """Hangs up everywhere."""
        for host in self._hosts:
            with contextlib.suppress(OSError, ProvisionError):
                host.close()


def old_records(limits: Limits) -> list[str]:
    """The controller's records that the limits let go, oldest first.

    The newest stays, and of each host the newest that reached it: it says how. So does one
    of a run that did not come to its end.
    """
    names = records.names()
    needed: set[str] = set(names[-1:])
    hosts: set[str] = set()
    for name in reversed(names):
        record = records.read(name)
        fresh = set(record.get("hosts", [])) - hosts
        if fresh or record.get("exit") is None:
            needed.add(name)
        hosts |= fresh
    going: list[str] = []
    if limits.keep is not None or limits.older_than is not None:
        old = names[: max(len(names) - (limits.keep or 0), 0)]
        before = time.time() - (limits.older_than or 0.0)
        going = [name for name in old if name not in needed and _began(name) <= before]
    if limits.max_size is not None:
        sizes = {name: _size(name) for name in names}
        left = sum(size for name, size in sizes.items() if name not in going)
        for name in names:
            if left > limits.max_size and name not in going and name not in needed:
                going.append(name)
                left -= sizes[name]
    return sorted(going)


def _began(run: str) -> float:
    """When a run began, by its id."""
    try:
        return datetime.strptime(run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return time.time()


def _size(run: str) -> int:
    try:
        return os.path.getsize(os.path.join(records.folder(), f"{run}.json"))
    except OSError:
        return 0
