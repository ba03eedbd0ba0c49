"""Everything that can go wrong, as one tree; each leaf carries its exit code.

    ProvisionError                1   internal error: a bug of ours
    ├── UsageError               64   the command line is wrong
    ├── InvalidError             65   a playbook, inventory, vault or template is wrong
    ├── MissingFileError         66   a file that was named does not exist
    ├── ConfigurationError       78   provision.toml or the environment is wrong
    ├── UnreachableError          5   the host could not be reached or did not answer
    ├── StaleError                7   the world moved since the plan or the run
    ├── LockedError               8   another run holds the host
    ├── DeclinedError            10   a person or a guard said no
    ├── TaskFailedError           4   a task failed and left a partial state
    └── RollbackFailedError       9   a rollback failed: a person is needed

An error carries one or more diagnostics; all that is wrong with a file is raised at once.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from personaplex_provision.agent.record import dataclass


@dataclass(frozen=True, order=True)
class Position:
    """A place in a source file; `line` and `column` count from 1, 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        file = self.file
        if file.startswith("/"):
            here = os.getcwd().rstrip("/") + "/"
            file = file.removeprefix(here)
        return f"{file}:{self.line}:{self.column}" if self.line else file


@dataclass(frozen=True)
class Diagnostic:
    """One finding: what happened (`summary`), why (`detail`), where, and what to do next (`hint`)."""

    summary: str
    detail: str = ""
    position: Position | None = None
    hint: str = ""
    severity: str = "error"

    def render(self) -> str:
        """As people read it: `file:line:column: error: …`, the line, a caret, the reason, the hint."""
        head = f"{self.position}: " if self.position else ""
        lines = [f"{head}{self.severity}: {self.summary}"]
        lines += _excerpt(self.position)
        lines += [f"    {line}" for line in self.detail.splitlines()]
        if self.hint:
            lines.append(f"    hint: {self.hint}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """As machines read it, the shape of a `diagnostic` event's payload."""
        found: dict[str, object] = {"severity": self.severity, "summary": self.summary}
        if self.detail:
            found["detail"] = self.detail
        if self.hint:
            found["hint"] = self.hint
        if self.position:
            found |= {"file": self.position.file, "line": self.position.line, "column": self.position.column}
        return found


class ProvisionError(Exception):
    """The root of the tree; `exit_code` is what the command line answers with."""

    exit_code: ClassVar[int] = 1

    def __init__(self, diagnostics: Diagnostic | str | Sequence[Diagnostic]) -> None:
        if isinstance(diagnostics, str):
            diagnostics = Diagnostic(diagnostics)
        if isinstance(diagnostics, Diagnostic):
            diagnostics = [diagnostics]
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("\n".join(one.render() for one in self.diagnostics))


class UsageError(ProvisionError):
    """The command line is wrong."""

    exit_code = 64


class InvalidError(ProvisionError):
    """A playbook, inventory, vault file or template is wrong."""

    exit_code = 65


class MissingFileError(ProvisionError):
    """A file that was named does not exist or cannot be read."""

    exit_code = 66


class ConfigurationError(ProvisionError):
    """provision.toml or the environment is wrong."""

    exit_code = 78


class UnreachableError(ProvisionError):
    """The host could not be reached, refused us, or stopped answering."""

    exit_code = 5


class StaleError(ProvisionError):
    """The world moved since the plan was made or the run was recorded."""

    exit_code = 7


class LockedError(ProvisionError):
    """Another run holds the host."""

    exit_code = 8


class DeclinedError(ProvisionError):
    """Declined at the prompt, no terminal to ask, or a guard refused."""

    exit_code = 10


class TaskFailedError(ProvisionError):
    """A task failed; partial state is left and the message says how to go on."""

    exit_code = 4


class RollbackFailedError(ProvisionError):
    """A rollback failed: a person is needed."""

    exit_code = 9


class Findings:
    """Collects diagnostics so that all of a file's errors are raised in one go."""

    def __init__(self) -> None:
        self.items: list[Diagnostic] = []
        self._missing = False

    def add(self, summary: str, position: Position | None = None, detail: str = "", hint: str = "") -> None:
        self.items.append(Diagnostic(summary, detail, position, hint))

    def take(self, error: ProvisionError) -> None:
        """Keeps the diagnostics of an error raised further down."""
        self._missing = self._missing or isinstance(error, MissingFileError)
        self.items.extend(error.diagnostics)

    def raise_if_any(self) -> None:
        """Raises InvalidError (MissingFileError when only that was found) with everything found so far."""
        if not self.items:
            return
        unique = sorted(set(self.items), key=lambda one: (one.position or Position(""), one.summary))
        raise (MissingFileError if self._missing and len(unique) == 1 else InvalidError)(unique)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean "x"?` for the closest of `known`, or nothing when none is close."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""


def _excerpt(position: Position | None) -> list[str]:
    """The source line and a caret under the column, or nothing when the file cannot be read."""
    if position is None or not position.line:
        return []
    lines = _source_lines(os.path.abspath(position.file))
    if position.line > len(lines):
        return []
    text = lines[position.line - 1]
    margin = f"{position.line:5d} | "
    caret = "".join("\t" if c == "\t" else " " for c in text[: max(position.column - 1, 0)])
    return [f"{margin}{text}", f"{' ' * (len(margin) - 2)}| {caret}^"]


@lru_cache(maxsize=32)
def _source_lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
