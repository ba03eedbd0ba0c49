"""Base of `command`, `shell` and `script`: something is run, and what it did cannot be read back."""

from __future__ import annotations

import datetime
import glob
import os
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed

_TAIL = 20


@dataclass
class Running(Resource):
    """Something that is run unless `creates` or `removes` say that there is no need."""

    readable = False
    reversible = "irreversible"
    reversible_why = (
        "What a program did is not known, so nothing here can take it back; with `undo:` the task says how, "
        "best-effort."
    )
    free_form = "cmd"
    aliases = {"_raw_params": "cmd"}

    cmd: str | None = None
    "What is run."
    creates: str | None = None
    "Path or pattern; when something is there, nothing is run."
    removes: str | None = None
    "Path or pattern; when nothing is there, nothing is run."
    chdir: str | None = None
    "Directory to run in."
    needless: str = observed("")
    "Why there is no need to run it."

    def argv_on(self, host: Host) -> List[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def shown(self) -> str:
        """What is run, for the plan."""
        return self.cmd or ""

    def observe(self, host: Host) -> Any:
        now = type(self)()
        found = self._found(host, self.creates) if self.creates else ""
        if found:
            now.needless = f"{found} exists"
        elif self.removes and not self._found(host, self.removes):
            now.needless = f"{self.removes} does not exist"
        return now

    def diff(self, now: Any) -> List[Change]:
        field = "cmd" if self.cmd is not None else "argv"
        return [] if now.needless else [Change(field, None, self.shown())]

    def action(self, now: Any, changes: List[Change]) -> str:
        return "run" if changes else "none"

    def predict(self, now: Any, host: Host) -> None:
        raise Unpredictable("what it does is known after it ran")

    def converge(self, now: Any, host: Host) -> None:
        self._run(host, self.argv_on(host))

    def provides(self) -> List[Address]:
        made = os.path.join(self.chdir or "", self.creates or "")
        return [("path", made)] if self.creates and not _is_pattern(made) else []

    def needs(self) -> List[Address]:
        return [("path", one) for one in (self.chdir, self.removes) if one and not _is_pattern(one)]

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        done: Optional[Dict[str, Any]] = getattr(self, "_done", None)
        if done is not None:
            return done
        said = f"skipped, since {now.needless}"
        return {"rc": 0, "cmd": self.shown(), "stdout": said, "stdout_lines": [said], "stderr": "", "stderr_lines": [],
                "msg": "Did not run command since " + now.needless}

    def _run(
        self, host: Host, argv: Sequence[str], stdin: str = "", strip: bool = True, label: Any = None,
    ) -> None:
        """Runs `argv` and keeps the result for `register`. Raises ResourceError on a non-zero exit."""
        chdir = host.expand(self.chdir) if self.chdir else ""
        began, clock = datetime.datetime.now(), time.monotonic()
        found = host.run(argv, chdir=chdir, stdin=stdin, check=False)
        took = datetime.timedelta(seconds=time.monotonic() - clock)
        done = _result(found, strip, label if label is not None else list(argv), began, took)
        if found.rc != 0:
            tail = "\n".join((found.stderr.strip() or found.stdout.strip()).splitlines()[-_TAIL:])
            name = os.path.basename(argv[0])
            how = f"was killed by signal {-found.rc}" if found.rc < 0 else f"exited with {found.rc}"
            raise ResourceError(f"{name} {how}", tail, result={**done, "msg": "non-zero return code"})
        self._done = done

    def _found(self, host: Host, pattern: str) -> str:
        """The first path that is there, or nothing; a pattern stands for any path that fits."""
        path = host.expand(pattern)
        if self.chdir and not os.path.isabs(path):
            path = os.path.join(host.expand(self.chdir), path)
        if not _is_pattern(path):
            return pattern if host.stat(path, follow=True).exists else ""
        return next(iter(_matches(host, path)), "")


def _result(
    found: Completed, strip: bool, cmd: Any, began: datetime.datetime, took: datetime.timedelta,
) -> Dict[str, Any]:
    out, err = found.stdout, found.stderr
    if strip:
        out, err = out.rstrip("\r\n"), err.rstrip("\r\n")
    return {
        "rc": found.rc, "cmd": cmd, "stdout": out, "stderr": err,
        "stdout_lines": out.splitlines(), "stderr_lines": err.splitlines(),
        "start": str(began), "end": str(began + took), "delta": str(took), "msg": "",
    }


def _is_pattern(path: str) -> bool:
    return any(one in path for one in "*?[")


def _matches(host: Host, pattern: str) -> Iterator[str]:
    """The paths that fit a pattern, looked up through the host so that a plan sees what will be there."""
    import fnmatch

    if "**" in pattern:
        yield from glob.iglob(pattern, recursive=True)
        return
    head, _, rest = pattern.lstrip("/").partition("/")
    tops = [("/", head, rest)]
    while tops:
        top, part, rest = tops.pop(0)
        if _is_pattern(part):
            names = host.list(top) if host.stat(top, follow=True).type == "directory" else []
            fits = [one for one in fnmatch.filter(names, part) if part.startswith(".") or not one.startswith(".")]
        else:
            fits = [part] if host.stat(os.path.join(top, part), follow=bool(rest)).exists else []
        for name in fits:
            path = os.path.join(top, name)
            if not rest:
                yield path
            else:
                head, _, further = rest.partition("/")
                tops.append((path, head, further))
