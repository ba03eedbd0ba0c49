"""Base of the checks: they look at one thing on the host and compare what they find with what is wanted."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Iterator, Sequence, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.overlay import PlanningHost
from personaplex_provision.agent.process import run_process
from personaplex_provision.agent.resource import ResourceError, Unpredictable
from personaplex_provision.agent.resources import _matching
from personaplex_provision.agent.resources._effectless import Effectless

Matcher = Any
"""A field that says what is wanted of what was found: a value, or matchers such as `{ge: 20}`."""


class Check(Effectless):
    """A look at one thing. As a task it also runs while planning, unless earlier tasks will change the host."""

    probe = True
    matched: ClassVar[Tuple[str, ...]] = ()
    "Fields that hold matchers; `look` finds a value for each."

    def look(self, host: Host) -> Dict[str, Any]:
        """What is there, by the names of `matched` and more; `unasked` lists those that do not count this time.

        Raises ResourceError when it cannot be told.
        """
        raise NotImplementedError

    def title(self) -> str:
        """What is looked at, as it stands at the beginning of a sentence."""
        return self.kind.replace("check_", "").replace("_", " ")

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        """What to do when a field is not as wanted, where that is known."""
        return ""

    def elsewhere(self) -> bool:
        """Whether what is looked at is not of this host, so that earlier tasks of a plan have no part in it."""
        return False

    def validate(self) -> Iterator[str]:
        for name in self.matched:
            yield from _matching.problems(name, getattr(self, name))

    def observe(self, host: Host) -> Any:
        self._found: Dict[str, Any] = {}
        if isinstance(host, PlanningHost) and host.prediction and not self.elsewhere():
            raise Unpredictable("checked on the way, after earlier tasks changed the host")
        self._found = self.look(host)
        wrong, hint = [], ""
        for name in self.matched:
            wanted = getattr(self, name)
            if wanted is None or name in self._found.get("unasked", ()):
                continue
            unmet = _matching.unmet(self._found.get(name), wanted)
            if unmet:
                wrong.append(f"{name} is {shown(self._found.get(name))}, and should {' and '.join(unmet)}")
                hint = hint or self.advice(name, self._found)
        if wrong:
            said = f"{self.title()}: {'; '.join(wrong)}"
            raise ResourceError(said, str(self._found.get("detail", "")), hint, {**self._found, "msg": said})
        return self

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {name: value for name, value in getattr(self, "_found", {}).items() if name not in ("detail", "unasked")}


def ask(
    host: Host, argv: Sequence[str], timeout: float, env: Dict[str, str] | None = None, stdin: str = "",
    chdir: str = "",
) -> Completed:
    """Runs a program that only reads. Unlike `host.query` it is asked anew each time: a check is repeated.

    Raises ResourceError when it is not there or takes longer than `timeout` seconds.
    """
    return run_process(argv, host.command_environment(env), stdin=stdin, chdir=chdir, timeout=timeout,
                       identity=host.identity, running=host.processes)


def last_lines(found: Completed, number: int = 8) -> str:
    """The end of what a program said, its errors first."""
    return "\n".join((found.stderr.strip() or found.stdout.strip()).splitlines()[-number:])


def shown(value: Any) -> str:
    """A value that was found, short enough for a sentence."""
    if value is None:
        return "not there"
    if isinstance(value, bool):
        return str(value).lower()
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value).strip()
    if text == "":
        return "empty"
    return text if len(text) <= 120 else f"{text[:117]}..."


def require_positive(name: str, value: float) -> Iterator[str]:
    """A sentence when a number of seconds is not one."""
    if value <= 0:
        yield f"{name} must be more than 0"


def require_port(name: str, value: int) -> Iterator[str]:
    """A sentence when a port is none."""
    if not 0 < value < 65536:
        yield f"{name} {value} is outside 1 to 65535"
