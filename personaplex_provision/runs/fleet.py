"""Many hosts side by side: connect, plan, apply play after play and batch after batch, and sum up."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from personaplex_provision.agent.events import Heard, apart
from personaplex_provision.errors import (
    Diagnostic,
    InvalidError,
    MissingFileError,
    Position,
    ProvisionError,
    StaleError,
    UnreachableError,
    UsageError,
)
from personaplex_provision.language.tree import Play
from personaplex_provision.planning.scope import Scope
from personaplex_provision.planning.shared import Shared
from personaplex_provision.runs import batches, crowd, records, room
from personaplex_provision.runs.conversation import Event
from personaplex_provision.runs.dialling import Dialling
from personaplex_provision.runs.hostrun import HostRun
from personaplex_provision.runs.identity import new_run, who
from personaplex_provision.runs.outcome import worst
from personaplex_provision.runs.part import Part
from personaplex_provision.runs.project import Project

if TYPE_CHECKING:
    from personaplex_provision.runs.profile import Profile

Report = Callable[[Event], None]


class Fleet:
    """All hosts of one command; lives as long as their connections."""

    make: type[HostRun] = HostRun
    "What a host's part of the command is."

    def __init__(
        self, project: Project, report: Report, run: str = "", keep: bool = True, dialling: Dialling | None = None,
    ) -> None:
        assert project.playbook is not None
        self.project = project
        self.playbook = project.playbook
        self.run = run or new_run()
        self.hosts: dict[str, HostRun] = {}
        self.keep = keep
        "Whether the plan of a host on which nothing is to be done is kept too."
        self.profile: Profile | None = None
        "Where the time goes, when that was asked for."
        self.together: Callable[[list[Event]], None] | None = None
        "Takes events of one host that came together, where the report can."
        self.errors: list[ProvisionError] = []
        self.refused = False
        self._report = report
        self._lock = threading.Lock()
        self._stopped = 0
        self._compiling = threading.Lock()
        self._parts: dict[tuple[int, str], Part] = {}
        self._dialling = dialling or Dialling()
        self._heard = Heard()
        self.selected = [self.project.hosts(play) for play in self.playbook.plays]
        self._shared = Shared(many=len({name for names in self.selected for name in names}) > 1)
        self._chosen = [frozenset(names) for names in self.selected]

    # telling

    def tell(self, event: Event) -> None:
        """Adds what every event has and hands it to the reports."""
        self.tell_all([event])

    def tell_all(self, events: list[Event]) -> None:
        """As `tell`, for events of one host."""
        stamp = {"schema": 1, "ts": round(time.time(), 3), "run": self.run}
        with self._lock:
            if self.profile is not None:
                for one in events:
                    self.profile(one)
            if self.together is not None and len(events) > 1:
                self.together([stamp | one for one in events])
            else:
                for one in apart(events):
                    self._report({**stamp, **one})

    def summary(self, code: int) -> int:
        """The last event; returns the exit code."""
        if self.profile is not None:
            self.tell(self.profile.event(self.hosts))
        hosts = {name: host.outcome.as_json() for name, host in self.hosts.items()}
        self.tell({"type": "summary", "exit": code, "hosts": hosts})
        return code

    # planning

    def plan(self) -> int:
        """Connects and plans every play on every host; 0, or what went wrong. Raises InvalidError."""
        names = list(dict.fromkeys(name for hosts in self.selected for name in hosts))
        if not names:
            self.tell({"type": "diagnostic", "severity": "warning", "summary": "no host matches: nothing to do"})
            return 0
        for name in names:
            self.hosts[name] = self._host(name)
            self.hosts[name].crowd = len(names)
        warming = threading.Thread(target=self._warm, daemon=True)
        warming.start()
        scopes = [self._scope(play) for play in self.playbook.plays]
        self._each(list(self.hosts.values()), partial(self._connect_and_plan, scopes=scopes, warming=warming))
        self._raise_invalid()
        for host in self.hosts.values():
            self._guarded(host, room.check)
            self._host_end(host, "plan")
        return self._code()

    def _host(self, name: str) -> HostRun:
        plays = [play for play, hosts in zip(self.playbook.plays, self.selected, strict=True) if name in hosts]
        connection = self.project.reach(name, plays)
        host = self.make(name, connection, self.tell, self.project.options)
        host.dialling, host.heard, host.tell_all = self._dialling, self._heard, self.tell_all
        host.kinds = {kind for play in plays for kind in self.project.survey(play).kinds}
        return host

    def _warm(self) -> None:
        """Builds what compiling will need, while the hosts are waited for. What is wrong is found when it is used."""
        from personaplex_provision.language.engine import engine
        from personaplex_provision.planning.kinds import kind_names, load_kind
        from personaplex_provision.planning.validator import validator

        engine()
        for kind in set().union(*(host.kinds for host in self.hosts.values())) & kind_names():
            validator(load_kind(kind), static=False)

    def _connect(self, host: HostRun) -> None:
        where = host.connection.host or host.name
        self.tell({"type": "host_start", "host": host.name, "address": where, "connection": host.connection.kind})
        host.connect()

    def _connect_and_plan(self, host: HostRun, scopes: list[Scope], warming: threading.Thread) -> None:
        """One host as far as it gets, whatever the others do."""
        self._connect(host)
        warming.join()
        for number, (play, scope) in enumerate(zip(self.playbook.plays, scopes, strict=True)):
            if host.name in self._chosen[number] and not host.outcome.unreachable:
                self._guarded(host, partial(self._plan, number=number, play=play, scope=scope))
        if not self.keep and host.outcome.exit == 0 and not host.needs_apply():
            for number in range(len(scopes)):
                self._parts.pop((number, host.name), None)
            host.let_go()

    def _plan(self, host: HostRun, number: int, play: Play, scope: Scope) -> None:
        part = self._compile(host, number, play, scope)
        with host.spent.spending("observe"):
            host.plan(part)

    def _compile(self, host: HostRun, number: int, play: Play, scope: Scope) -> Part:
        # Compiling is pure computation: one at a time costs nothing, and keeps caches simple.
        with self._compiling:
            plays, known = self.selected[number], host.context
            batch = next((one for one in batches.split(plays, play) if host.name in one), plays)
            host.context = self.project.context(
                host.name, play, host.hello, host.connection, batch, plays, self._shared)
            if known is not None:
                host.context.results, host.context.stock = known.results, known.stock
            with host.spent.spending("compile"):
                part = host.compile(play, scope, number)
            self._parts[number, host.name] = part
        return part

    def _scope(self, play: Play) -> Scope:
        return Scope(search_path=(os.path.abspath(play.directory),)).entered(play.keywords)

    # applying

    def apply(self, confirm: Callable[[], bool]) -> int:
        """Plans, asks, applies. Raises InvalidError, DeclinedError."""
        code = self.plan()
        todo = [host for host in self._alive(self.hosts) if host.needs_apply() and host.outcome.exit == 0]
        if not todo:
            return self.summary(code)
        if not confirm():
            from personaplex_provision.errors import DeclinedError

            raise DeclinedError("declined: nothing was changed")
        records.write(self.run, self.project, self.hosts)
        todo = [host for host in todo if host.outcome.exit == 0]
        for host in todo:
            host.outcome.pending = host.outcome.unknown = 0
        self._each(todo, self._begin)
        for number, play in enumerate(self.playbook.plays):
            mine = [host for host in self._ready(todo) if host.name in self.selected[number]]
            self._play(number, play, mine)
        self._each([host for host in todo if host.began], self._end)
        for host in self.hosts.values():
            self._host_end(host, "apply")
        code = self._code()
        records.finish(self.run, code)
        return self.summary(code)

    def _begin(self, host: HostRun) -> None:
        playbook = os.path.abspath(self.playbook.path)
        host.begin(self.run, {"who": who(), "purpose": "apply", "playbook": playbook})
        if host.waited and self.project.options.observed:
            raise StaleError(Diagnostic(
                f"{host.name}: another run held the host after the plan was compared: it may be another one now",
                hint="apply the plan again",
            ))

    def _play(self, number: int, play: Play, hosts: list[HostRun]) -> None:
        last: list[HostRun] = []
        done: set[str] = set()
        for batch in batches.split([host.name for host in hosts], play):
            mine = [host for host in self._ready(hosts) if host.name in batch]
            exits = [host.outcome.exit for host in hosts]
            if mine and batches.exceeded(play, exits, [host.outcome.exit for host in last]):
                rest = [host for host in self._ready(hosts) if host.name not in done]
                self.tell({"type": "diagnostic", "severity": "error", "summary": "too many hosts failed: "
                           f"{', '.join(host.name for host in rest)} of the remaining batches not touched"})
                for host in rest:
                    host.outcome.exit = 4
                return
            self._each(mine, partial(self._apply, number=number, play=play, batch=mine))
            last = mine
            done.update(batch)

    def _apply(self, host: HostRun, number: int, play: Play, batch: list[HostRun]) -> None:
        later = [self._parts[one, host.name] for one in range(number + 1, len(self.playbook.plays))
                 if (one, host.name) in self._parts]
        # A host that shares its plays with others waits for them, and so for its controller, between two plays.
        ahead = later if len(self.hosts) == 1 else []
        with host.spent.spending("converge"):
            good = host.apply(self._parts[number, host.name], ahead, bool(later) and not ahead)
        if not good and play.keywords.get("any_errors_fatal"):
            for other in batch:
                if other is not host and other.began:
                    other.ended_by_another = True
                    with contextlib.suppress(UnreachableError):
                        other.stop()

    def _end(self, host: HostRun) -> None:
        host.end(rollback=host.outcome.exit in (4, 6) and host.on_failure() == "rollback")

    def refuse(self, name: str, error: ProvisionError) -> None:
        """Leaves a host out that was planned, and says why."""
        self.hosts[name].outcome.exit = error.exit_code
        for one in error.diagnostics:
            self.tell({"type": "diagnostic", "host": name, **one.as_json()})

    # ending

    def stop(self, kill: bool = False) -> None:
        """Has every host finish its running steps and start no more; `kill` ends those too."""
        self._stopped += 1
        for host in self.hosts.values():
            with contextlib.suppress(UnreachableError, AttributeError):
                host.stop(kill)

    def close(self) -> None:
        """Hangs up everywhere."""
        for host in self.hosts.values():
            with contextlib.suppress(OSError, ProvisionError):
                host.close()
        self._dialling.close()

    def _host_end(self, host: HostRun, phase: str) -> None:
        found = host.outcome
        more = {"space": found.space} if phase == "plan" else {}
        self.tell({"type": "host_end", "host": host.name, "phase": phase, "exit": found.exit, **found.as_json(),
                   "pending": found.pending, "unknown": found.unknown, "classes": found.classes, **more})

    def _code(self) -> int:
        return worst(host.outcome.exit for host in self.hosts.values())

    # hosts side by side

    def _alive(self, names: Iterable[str]) -> list[HostRun]:
        return [self.hosts[name] for name in names if not self.hosts[name].outcome.unreachable]

    def _ready(self, hosts: Iterable[HostRun]) -> Iterator[HostRun]:
        return (host for host in hosts if host.began and host.outcome.exit == 0)

    def _each(self, hosts: list[HostRun], work: Callable[[HostRun], Any]) -> None:
        crowd.each(hosts, lambda host: self._guarded(host, work), self.project.options.forks)

    def _guarded(self, host: HostRun, work: Callable[[HostRun], Any]) -> None:
        """A host's failure is its own; what is wrong with the files concerns everyone."""
        gone = host.outcome.unreachable
        try:
            work(host)
        except (InvalidError, MissingFileError, UsageError) as error:
            self.errors.append(error)
        except ProvisionError as error:
            host.outcome.exit = error.exit_code
            host.outcome.unreachable = isinstance(error, UnreachableError)
            if not (host.outcome.unreachable and gone):  # that the connection ended is news once
                for one in error.diagnostics:
                    self.tell({"type": "diagnostic", "host": host.name, **one.as_json()})

    def _raise_invalid(self) -> None:
        found = {one for error in self.errors for one in error.diagnostics}
        if found:
            missing = all(isinstance(error, MissingFileError) for error in self.errors)
            ordered = sorted(found, key=lambda one: (one.position or Position(""), one.summary))
            raise (MissingFileError if missing else InvalidError)(ordered)
