"""What the parsers of playbooks, tasks and roles share: reading files once, and where they are in the reading."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Mapping as AbstractMapping
from functools import cache
from typing import Any

from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.errors import Diagnostic, Findings, InvalidError, Position, ProvisionError
from personaplex_provision.language.keyword_types import has_template
from personaplex_provision.language.source import load, read_text
from personaplex_provision.language.tree import Role

OpenText = Callable[[str, Position], str]
"Opens a file encrypted as a whole: its text and where it is read from -> the plain text. Raises InvalidError."

@dataclass(frozen=True)
class Scope:
    """Where the parser is: what the tasks it reads belong to."""

    file: str
    "File that is being read."
    directory: str
    "The playbook's directory."
    role: Role | None = None
    "Role that the file belongs to."
    chain: tuple[str, ...] = ()
    "Files and roles that led here, the outermost first; one that comes again is a cycle."
    place: str = "task"
    "`task` or `handler`."

    def enter(self, file: str, role: Role | None = None) -> Scope:
        """The scope inside `file`."""
        return replace(self, file=file, chain=(*self.chain, file), role=role or self.role)


@dataclass
class Loader:
    """One reading of a playbook: what was given, and everything found on the way."""

    kinds: frozenset[str]
    "Kinds that are built in."
    roles_path: tuple[str, ...] = ()
    "Directories searched for roles after those beside the playbook."
    static_vars: AbstractMapping[str, Any] = field(default_factory=dict)
    "Variables known before anything runs (extra vars)."
    open_text: OpenText | None = None
    "Opens encrypted files."
    findings: Findings = field(default_factory=Findings)
    "All that is wrong, in every file."
    roles: dict[tuple[str, ...], Role] = field(default_factory=dict)
    "Roles read so far: directory and the files asked for -> role."
    library: dict[str, str] = field(default_factory=dict)
    "Kinds of the user's own that the current play has seen: name -> path."
    notes: list[Diagnostic] = field(default_factory=list)
    "Remarks that stop nothing."
    dropped: set[str] = field(default_factory=set)
    "Names of tasks that are wrong and so not in the tree; that they are missing is not reported again."
    broken: set[str] = field(default_factory=set)
    "Files and roles that could not be read; what is missing because of them is not reported again."

    def known_kinds(self) -> set[str]:
        """Every kind that a task may have here."""
        return set(self.kinds) | set(self.library)

    def note(self, summary: str, position: Position, detail: str) -> None:
        """Keeps a remark that does not stop anything."""
        self.notes.append(Diagnostic(summary, detail, position, severity="note"))

    def read(self, path: str, position: Position | None = None) -> tuple[bool, Any]:
        """The document in `path`: (whether it could be read, the document). What is wrong goes to `findings`."""
        try:
            text = read_text(path, position)
            if text.startswith("$ANSIBLE_VAULT"):
                text = self._open(text, Position(path))
            return True, load(text, path)
        except ProvisionError as error:
            self.findings.take(error)
            self.broken.add(path)
            return False, None

    def render(self, text: str, scope: Scope) -> str | None:
        """`text` with what is known statically filled in; None when it needs more."""
        if not has_template(text):
            return text
        known = {**self.static_vars, "playbook_dir": scope.directory}
        if scope.role is not None:
            known |= {"role_path": scope.role.path, "role_name": scope.role.name}
        try:
            return str(_jinja().from_string(text).render(known))
        except Exception:
            # Anything that goes wrong here only means: not known before the run.
            return None

    def cycle(self, path: str, scope: Scope, position: Position) -> bool:
        """Whether reading `path` would never end; reports the chain if so."""
        if path not in scope.chain:
            return False
        start = scope.chain.index(path)
        chain = " -> ".join([*scope.chain[start:], path])
        self.findings.add("imports go round in a circle", position, chain, "break the circle at one of these")
        return True

    def _open(self, text: str, position: Position) -> str:
        if self.open_text is None:
            hint = "give its password with --vault-password-file or -J"
            raise InvalidError(Diagnostic("the file is encrypted", position=position, hint=hint))
        return self.open_text(text, position)


def library_of(directory: str) -> dict[str, str]:
    """Kinds of the user's own in `directory/library`: name -> path."""
    folder = os.path.join(directory, "library")
    if not os.path.isdir(folder):
        return {}
    names = sorted(name for name in os.listdir(folder) if name.endswith(".py") and not name.startswith("_"))
    return {name[:-3]: os.path.join(folder, name) for name in names}


def first_file(candidates: list[str]) -> str | None:
    """The first path that is a file, normalised."""
    for path in candidates:
        if os.path.isfile(path):
            return os.path.normpath(path)
    return None


@cache
def _jinja() -> Any:
    import jinja2  # here: few names of imports are templates
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
