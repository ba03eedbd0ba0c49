"""A resource: one thing on the target and the state we want it in.

A kind is a standard-library dataclass whose fields are the desired state; `observe` reads the host into the same
type and `converge` moves the host from one to the other. Everything else — diff, journal, the way back — is generic.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Iterator, Tuple

from personaplex_provision.agent.connection import path_matters
from personaplex_provision.agent.record import MISSING, dataclass, field, fields
from personaplex_provision.agent.values import Blob, Secret

if TYPE_CHECKING:
    from personaplex_provision.agent.host import Host

Address = Tuple[str, str]
"""What a resource provides or needs: `("path", "/etc/x")`, `("user", "bob")`, `("group", …)`, `("package", …)`,
`("unit", …)`, `("repository", …)`, `("venv", "/opt/x")`, `("command", "git")`."""


PASSING = {"reversible": ("exact", "best-effort"), "exact": ("exact",)}
"""Classes of steps that may be taken, by what `--require-reversible` asks for."""


class Unpredictable(Exception):
    """Raised while planning when what will be found depends on what an earlier task changes; its text says what."""


class Apart(Exception):
    """Raised when steps would not come to the same in one go as one by one; nothing was changed."""


class ResourceError(Exception):
    """A failure the user can act on: what happened, and in `hint` what to do next."""

    def __init__(self, summary: str, detail: str = "", hint: str = "", result: dict[str, Any] | None = None) -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = detail
        self.hint = hint
        self.result = result or {}


@dataclass(frozen=True)
class Change:
    """One field that differs: what is there and what is wanted, as JSON-able values for people to read."""

    field: str
    before: Any
    after: Any


def observed(default: Any = None) -> Any:
    """A field that only `observe` fills in; users cannot set it and it is not in the schema."""
    return field(default=default, metadata={"observed": True})


@dataclass
class Resource:
    """Base of every kind. A field left at None is not managed."""

    kind: ClassVar[str] = ""
    "Ansible's name of the kind; the file in `resources/` has the same name."
    aliases: ClassVar[dict[str, str]] = {}
    "Other spellings of parameters: alias -> field."
    free_form: ClassVar[str] = ""
    "Field that takes the text of `kind: some text`, for kinds that allow it (command, shell)."
    open_ended: ClassVar[bool] = False
    "Whether any other parameter is taken too, for kinds whose parameters are names of the user's (set_fact)."
    reversible: ClassVar[str] = "exact"
    "`exact`, `best-effort` or `irreversible`; `reversibility()` may decide by the fields. The worst that is likely."
    reversible_why: ClassVar[str] = ""
    "Why it is of that class: a sentence for the reference page."
    exclusive: ClassVar[tuple[str, ...]] = ()
    "What the kind shares with others and cannot be used by two at once (`dpkg`)."
    probe: ClassVar[bool] = False
    "Whether the kind only reads, and so may run while planning."
    readable: ClassVar[bool] = True
    "Whether the state can be read back, so that a difference after converging is a failure."
    slow: ClassVar[bool] = False
    "Whether observing starts a process or waits for a network, so that it is worth a thread."
    describes: ClassVar[bool] = False
    "Whether `result` only tells what is there, so that none is made when nobody asks for it."
    fleeting: ClassVar[tuple[str, ...]] = ()
    "Observed fields that may differ from one look to the next though nothing was changed."
    identity: ClassVar[tuple[str, ...]] = ("path", "name")
    "Fields that say which thing this is; never part of a diff."
    unmanaged: ClassVar[tuple[str, ...]] = ()
    "Fields that say how to get there and are not state (`validate`, `force`, `update_cache`)."
    together: ClassVar[tuple[str, ...]] = ()
    "Parameters in which tasks that follow one another may differ and still be done in one go; none: they never are."

    def observe(self, host: Host) -> Any:
        """The state the host is in now, as the same type. Changes nothing; may raise Unpredictable while planning."""
        raise NotImplementedError

    def converge(self, now: Any, host: Host) -> None:
        """Moves the host from `now` to `self`, only through `host`. Raises ResourceError."""
        raise NotImplementedError

    def validate(self) -> Iterator[str]:
        """What is wrong across fields, one sentence each; runs on the controller."""
        return iter(())

    def diff(self, now: Any) -> list[Change]:
        """The managed fields in which `now` differs from `self`."""
        found = []
        for name in self.managed():
            want, have = getattr(self, name), getattr(now, name)
            if want is not None and want != have:
                found.append(Change(name, have, want))
        return found

    def managed(self) -> list[str]:
        """Names of the fields that are state."""
        kind: Any = type(self)
        return list(_managed(kind))

    def action(self, now: Any, changes: list[Change]) -> str:
        """`none`, `create`, `update`, `delete` or `run`, for the plan."""
        if not changes:
            return "none"
        have, want = getattr(now, "state", None), getattr(self, "state", None)
        if want == "absent":
            return "delete"
        return "create" if have == "absent" else "update"

    def preview(self, now: Any, host: Host) -> tuple[str, str] | None:
        """Whole texts before and after, for a text diff in the plan; None when there is nothing to show."""
        return None

    def reversibility(self, now: Any) -> str:
        """The class of this step given what is there now; None while that is not known."""
        return self.reversible

    def predict(self, now: Any, host: Host) -> None:
        """Declares on the planning host what will be there after this task.

        The default converges against the overlay, where file operations only happen in memory. A kind that runs
        commands overrides it and calls `host.declare(…)`, `host.opaque(path, why)` or the file operations.
        """
        self.converge(now, host)

    def restore(self, before: Any, host: Host) -> None:
        """Takes back what is not a file. Runs before the images of the paths the task touched are put back.

        `before` is what `observe` found before the task. The default does nothing: every path that was written
        through `host`, or named in `touches=`, is restored by its image.
        """

    def restored_last(self, before: Any) -> bool:
        """Whether `restore` comes after all else of a rollback: a service reads again what was put back."""
        return False

    def standing(self, host: Host) -> dict[str, Any]:
        """What `restore` acts on, as it is now: name -> JSON value, small and without secrets.

        Kept before and after the step, so that a rollback leaves what only someone else changed since, and refuses what
        both did. A name that is also a field of the kind is handed to `restore` as it is to be.
        """
        return {}

    def recover(self, before: Any, host: Host) -> None:
        """Puts right what a crash in the middle of `converge` may have left, before anything else is done."""

    def unprepared(self, now: Any) -> bool:
        """Whether `prepare` is needed before it can be told what converging does."""
        return False

    def prepare(self, now: Any, host: Host) -> Any:
        """Does what is needed first; returns what is there then, in the place of `now`. Raises ResourceError."""
        return now

    def joins(self, now: Any) -> bool:
        """Whether it is known what converging does, and that can be done in one go with others' part."""
        return False

    def share(self, now: Any, number: int) -> Any:
        """`now` as the `number`-th step of those that are done along with a first one keeps it for its way back."""
        return now

    def converge_together(self, now: Any, others: list[tuple[Any, Any]], host: Host, begin: Callable[[], None]) -> None:
        """Converges this and `others`, each with what was found before it, in one go. Raises ResourceError.

        `begin` is called right before the first change. Raises Apart instead when together they would not come to what
        they come to one by one.
        """
        raise Apart

    def provides(self) -> list[Address]:
        """What will exist once this is applied; gives implied edges."""
        path = getattr(self, "path", None)
        return [("path", path)] if isinstance(path, str) else []

    def needs(self) -> list[Address]:
        """What must exist first; gives implied edges. The directory, owner and group of `path` by default."""
        found: list[Address] = []
        path = getattr(self, "path", None)
        if isinstance(path, str) and "/" in path.rstrip("/")[1:]:
            found.append(("path", path.rstrip("/").rsplit("/", 1)[0]))
        for name, what in (("owner", "user"), ("group", "group")):
            value = getattr(self, name, None)
            if isinstance(value, str) and self.kind not in ("user", "group"):
                found.append((what, value))
        return found

    def touches_connection(self, user: str) -> bool:
        """Whether applying this can cut the connection to the host (firewall, sshd, network), made as `user`."""
        path = getattr(self, "path", None)
        return isinstance(path, str) and path_matters(path)

    def result(self, now: Any, after: Any, host: Host) -> dict[str, Any]:
        """What `register` sees besides `changed` and `failed`, under Ansible's names."""
        return {}


@cache
def _managed(kind: Any) -> tuple[str, ...]:
    apart = (*kind.identity, *kind.unmanaged)
    return tuple(one.name for one in fields(kind) if one.name not in apart and not one.metadata.get("observed"))


def to_wire(value: Any) -> Any:
    """JSON form of a field's value: blobs and secrets by name."""
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, Blob):
        return {"$secret": value.secret} if value.secret else {"$blob": [value.sha256, value.size]}
    if isinstance(value, Secret):
        return {"$secret": value.name}
    if isinstance(value, dict):
        return {str(key): to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_wire(item) for item in value]
    return value


def dump(resource: Resource) -> dict[str, Any]:
    """The fields of a resource that differ from their default, in wire form."""
    found = {}
    for one in fields(resource):
        value = getattr(resource, one.name)
        if one.default is MISSING or value != one.default:
            if one.default_factory is not MISSING and value == one.default_factory():
                continue
            found[one.name] = to_wire(value)
    return found
