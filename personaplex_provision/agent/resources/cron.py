"""The `cron` kind."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Literal, Optional, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._attributes import need_parent
from personaplex_provision.agent.resources._editing import split_lines
from personaplex_provision.agent.resources._replacing import keep_copy

EXAMPLE = """
- name: old recordings go at night
  cron:
    name: remove old recordings
    hour: "3"
    minute: "17"
    job: find /srv/recordings -mtime +30 -delete
    user: inference
"""

_SPOOL = "/var/spool/cron/crontabs"
_TIMES = ("minute", "hour", "day", "month", "weekday")
_RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
_WORDS = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "weekday": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}


@dataclass
class Cron(Resource):
    """A job of cron, or (`env`) a variable for the jobs of the same table.

    A job is known by a comment line with its name, the one Ansible writes. Taken back exactly: the table is kept
    before it is changed.
    """

    kind = "cron"
    reversible_why = "The table and the files it is kept in come back as they were; what a job did meanwhile stays."
    identity = ("name", "user", "cron_file")
    aliases = {"value": "job", "dom": "day", "dow": "weekday"}

    name: str
    "The job's name, unique in its table; with `env` the variable's name."
    job: str | None = None
    "The command; with `env` the variable's value."
    minute: str = "*"
    "Minute: 0-59, `*`, `*/5`, lists and ranges."
    hour: str = "*"
    "Hour: 0-23, `*`, `*/2`, lists and ranges."
    day: str = "*"
    "Day of the month: 1-31, `*`, lists and ranges."
    month: str = "*"
    "Month: 1-12 or jan-dec, `*`, lists and ranges."
    weekday: str = "*"
    "Day of the week: 0-6 from Sunday or sun-sat, `*`, lists and ranges."
    special_time: Literal["reboot", "hourly", "daily", "weekly", "monthly", "yearly", "annually"] | None = None
    "A nickname instead of the five times."
    user: str | None = None
    "Whose table it is in; with `cron_file` who the job runs as. The task's own user when left out."
    cron_file: str | None = None
    "File in /etc/cron.d, or an absolute path, instead of the user's own table."
    state: Literal["present", "absent"] = "present"
    "Whether the job or variable should be there."
    env: bool = False
    "Whether a variable is meant and not a job."
    disabled: bool = False
    "Whether the job stands there commented out."
    backup: bool = False
    "Whether a dated copy of `cron_file` stays beside it when it is changed."
    line: str | None = observed()
    "The line that is there, None without one."
    wanted: str | None = observed()
    "The line that is asked for."

    def validate(self) -> Iterator[str]:
        if "\n" in self.name or not self.name.strip():
            yield "name must be a single line that is not empty"
        if self.state == "present" and not self.job:
            yield "job is needed: what is run" if not self.env else "job is needed: the variable's value"
        if self.job and "\n" in self.job.rstrip("\n"):
            yield "job must be a single line; put a longer one into a script"
        if self.env and not re.fullmatch(r"\w+", self.name):
            yield f"name {self.name} is no name of a variable"
        if self.special_time and any(getattr(self, one) != "*" for one in _TIMES):
            yield "special_time stands for the times: leave minute, hour, day, month and weekday out"
        for name in _TIMES:
            if not valid_time(name, getattr(self, name)):
                low, high = _RANGES[name]
                yield f'{name} "{getattr(self, name)}" is not a time of cron: {low}-{high}, *, */n, lists and ranges'
        if self.cron_file and not re.fullmatch(r"/.*|[A-Za-z0-9_-]+", self.cron_file):
            yield f"cron passes over a cron_file {self.cron_file}: only letters, digits, _ and - are allowed"

    def observe(self, host: Host) -> Cron:
        now = Cron(self.name, user=self.user, cron_file=self.cron_file)
        now.line = self._find(split_lines(self._table(host)))[1]
        now.wanted = self._line(host) if self.state == "present" else None
        return now

    def diff(self, now: Cron) -> List[Change]:
        return [Change("line", now.line, now.wanted)] if now.line != now.wanted else []

    def action(self, now: Cron, changes: List[Change]) -> str:
        if not changes:
            return "none"
        return "delete" if self.state == "absent" else "create" if now.line is None else "update"

    def preview(self, now: Cron, host: Host) -> Optional[Tuple[str, str]]:
        before = self._table(host)
        return before, self._edited(before, host)

    def converge(self, now: Cron, host: Host) -> None:
        text = self._edited(self._table(host), host)
        if self.cron_file:
            path = self._path()
            need_parent(host, path)
            if self.backup and host.stat(path).exists:
                keep_copy(host, path)
            host.write(path, text.encode("utf-8", "surrogateescape"), mode=None if host.stat(path).exists else 0o644)
            return
        user = self._user(host)
        found = host.run(
            ["crontab", *self._whose(host), "-"], stdin=text or "\n", touches=[f"{_SPOOL}/{user}"], check=False,
        )
        if found.rc != 0:
            raise ResourceError(f"crontab refused the table of {user}", found.stderr.strip())

    def predict(self, now: Cron, host: Host) -> None:
        if self.cron_file:
            self.converge(now, host)
        else:
            host.declare("crontab", self._user(host), self._edited(self._table(host), host))

    def provides(self) -> List[Address]:
        return [("path", self._path())] if self.cron_file else []

    def needs(self) -> List[Address]:
        found: List[Address] = [("package", "cron"), ("command", "crontab")]
        if self.cron_file:
            found = [("path", os.path.dirname(self._path()))]
        return [*found, *([("user", self.user)] if self.user else [])]

    def result(self, now: Cron, after: Cron, host: Host) -> Dict[str, Any]:
        names = re.findall(r"^#Ansible: (.*)$", self._table(host), re.MULTILINE)
        return {"jobs": names, "envs": re.findall(r"^(\w+)\s*=", self._table(host), re.MULTILINE)}

    def _path(self) -> str:
        return os.path.join("/etc/cron.d", self.cron_file or "")

    def _user(self, host: Host) -> str:
        return self.user or host.identity.name

    def _whose(self, host: Host) -> List[str]:
        return [] if self._user(host) == host.identity.name else ["-u", self._user(host)]

    def _table(self, host: Host) -> str:
        if self.cron_file:
            path = self._path()
            return host.read_text(path) if host.stat(path).exists else ""
        user = self._user(host)
        planned = host.declared("crontab", user)
        if planned is not None:
            return str(planned)
        if host.planning and host.machine.user(user) is None:
            return ""
        found = host.query(["crontab", *self._whose(host), "-l"], reads=[f"{_SPOOL}/{user}"])
        return found.stdout if found.rc == 0 else ""

    def _line(self, host: Host) -> str:
        job = (self.job or "").rstrip("\n")
        if self.env:
            return f'{self.name}="{job}"'
        times = f"@{self.special_time}" if self.special_time else " ".join(getattr(self, one) for one in _TIMES)
        who = f"{self._user(host)} " if self.cron_file else ""
        return f"{'#' if self.disabled else ''}{times} {who}{job}"

    def _find(self, lines: List[str]) -> Tuple[Optional[int], Optional[str]]:
        """Number of the job's or variable's line and what it says; a name without a job says nothing."""
        for number, one in enumerate(lines):
            if self.env:
                if re.match(rf"{re.escape(self.name)}\s*=", one):
                    return number, one.rstrip("\r\n")
            elif one.rstrip("\r\n") == f"#Ansible: {self.name}":
                return number + 1, lines[number + 1].rstrip("\r\n") if number + 1 < len(lines) else ""
        return None, None

    def _edited(self, text: str, host: Host) -> str:
        lines = split_lines(text)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        number, _ = self._find(lines)
        header = [] if self.env else [f"#Ansible: {self.name}\n"]
        fresh = [*header, self._line(host) + "\n"] if self.state == "present" else []
        if number is not None:
            lines[number - len(header) : number + 1] = fresh
        elif self.env:
            lines[:0] = fresh
        else:
            lines += fresh
        return "".join(lines)


def valid_time(name: str, text: str) -> bool:
    """Whether cron takes `text` as the field `name`."""
    low, high = _RANGES[name]
    words = _WORDS.get(name, [])

    def number(word: str) -> Optional[int]:
        if word.lower() in words:
            return words.index(word.lower()) + (1 if name == "month" else 0)
        return int(word) if word.isdigit() and low <= int(word) <= high else None

    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdigit() and int(step) > 0):
            return False
        if span == "*":
            continue
        first, dash, last = span.partition("-")
        start, end = number(first), number(last) if dash else 0
        if start is None or end is None or (dash and end < start):
            return False
    return True
