"""Containers as a template sees them, and the ways in and out of a render.

What comes out of variables passes `enter`: text that is a template is rendered there, a container is wrapped so that
only the items that are touched are rendered, a secret becomes `Boxed`. What goes to a filter passes `plain`; what
leaves the render passes `leave`, which puts secrets back into `agent.values.Secret`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from datetime import date, datetime, timedelta
from types import GeneratorType
from typing import TYPE_CHECKING, Any, SupportsIndex

from personaplex_provision.agent.redact import SHORTEST
from personaplex_provision.agent.values import Secret
from personaplex_provision.errors import Position
from personaplex_provision.language.boxes import OMIT, Absent, Boxed, Frame, Omit, Scope, as_missing, opened
from personaplex_provision.language.jinja import Undefined
from personaplex_provision.language.source import Float, Int, Sealed, Text, Unsafe
from personaplex_provision.language.values import Unknown

if TYPE_CHECKING:
    from personaplex_provision.language.templates import Templar

_MARKERS = ("{{", "{%", "{#")


class LazyDict(MutableMapping[Any, Any]):
    """A mapping of which only the touched values are rendered. Changing it changes this render's view alone."""

    __slots__ = ("_cells", "_frame", "_inert", "_label", "_raw", "_templar")

    def __init__(self, raw: Mapping[Any, Any], templar: Templar, frame: Frame, label: str, inert: bool) -> None:
        self._raw, self._templar, self._frame, self._label, self._inert = raw, templar, frame, label, inert
        self._cells: dict[Any, Any] = {}

    def rebound(self, frame: Frame) -> LazyDict:
        return LazyDict(self._raw, self._templar, frame, self._label, self._inert)

    def __getitem__(self, key: Any) -> Any:
        if key in self._cells:
            return self._cells[key]
        key = self._written(key)
        raw = self._raw[key]
        label = f"{self._label}.{key}" if self._label else str(key)
        value = self._cells[key] = enter(raw, self._templar, self._frame, label, self._inert, self._where(key))
        return value

    def _written(self, key: Any) -> Any:
        """The key itself; YAML's keys are text here, so `ports[80]` means the key "80"."""
        return str(key) if isinstance(key, int) and key not in self._raw and str(key) in self._raw else key

    def _where(self, key: Any) -> Position | None:
        at = getattr(self._raw, "at", None)
        return at(key) if callable(at) and isinstance(key, str) else self._frame.position

    def __setitem__(self, key: Any, value: Any) -> None:
        if key not in self._raw:
            self._raw = {**self._raw, key: None}
        self._cells[key] = value

    def __delitem__(self, key: Any) -> None:
        self._raw = {one: value for one, value in self._raw.items() if one != key}
        self._cells.pop(key, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __contains__(self, key: object) -> bool:
        return self._written(key) in self._raw

    def __eq__(self, other: object) -> bool:
        return bool(plain(self) == plain(other))

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> LazyDict:
        return self.rebound(self._frame)

    def __str__(self) -> str:
        return str(plain(self))

    __repr__ = __str__

    @property
    def raw(self) -> Mapping[Any, Any]:
        """What it was made of, unrendered."""
        return self._raw


class LazyList(MutableSequence[Any]):
    """A list of which only the touched items are rendered. Changing it changes this render's view alone."""

    __slots__ = ("_cells", "_frame", "_inert", "_label", "_raw", "_templar")
    _UNTOUCHED = object()

    def __init__(self, raw: Iterable[Any], templar: Templar, frame: Frame, label: str, inert: bool) -> None:
        self._raw: list[Any] = raw if isinstance(raw, list) else list(raw)
        self._templar, self._frame, self._label, self._inert = templar, frame, label, inert
        self._cells: list[Any] = [self._UNTOUCHED] * len(self._raw)

    def rebound(self, frame: Frame) -> LazyList:
        return LazyList(self._raw, self._templar, frame, self._label, self._inert)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        value = self._cells[index]
        if value is self._UNTOUCHED:
            at = getattr(self._raw, "at", None)
            where = at(index) if callable(at) and index >= 0 else self._frame.position
            label = f"{self._label}[{index}]"
            value = enter(self._raw[index], self._templar, self._frame, label, self._inert, where)
            self._cells[index] = value
        return value

    def __setitem__(self, index: Any, value: Any) -> None:
        self._cells[index] = value

    def __delitem__(self, index: Any) -> None:
        self._raw = list(self._raw)
        del self._raw[index], self._cells[index]

    def insert(self, index: SupportsIndex, value: Any) -> None:
        self._raw = list(self._raw)
        self._raw.insert(index, value)
        self._cells.insert(index, value)

    def copy(self) -> LazyList:
        return self.rebound(self._frame)

    def __len__(self) -> int:
        return len(self._cells)

    def __eq__(self, other: object) -> bool:
        return bool(plain(self) == plain(other))

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return str(plain(self))

    __repr__ = __str__


class Deferred:
    """A variable named in a template and not looked at yet."""

    __slots__ = ("frame", "name", "value")
    _UNTOUCHED = object()

    def __init__(self, name: str, frame: Frame) -> None:
        self.name = name
        self.frame = frame
        self.value: Any = self._UNTOUCHED

    def open(self) -> Any:
        if self.value is self._UNTOUCHED:
            self.value = self.frame.templar.variable(self.name, self.frame)
        return self.value


def is_template(text: str) -> bool:
    """Whether a render could change `text`."""
    return "{" in text and any(mark in text for mark in _MARKERS) and not isinstance(text, Unsafe)


def enter(
    raw: Any, templar: Templar, frame: Frame, label: str, inert: bool, position: Position | None = None
) -> Any:
    """`raw`, as the render `frame` may use it; `inert` values come from a host and are never templates.

    Raises Pending for an Unknown without a result.
    """
    if isinstance(raw, str):
        if inert or not is_template(raw):
            return raw
        try:
            found = templar.nested(raw, label, frame, position)
        except Absent as error:
            return error.missing
        return enter(found, templar, frame, label, True, position)
    if raw is None or isinstance(raw, (int, float)):
        return raw
    if isinstance(raw, (LazyDict, LazyList)):
        return raw.rebound(frame)
    if isinstance(raw, Scope):
        return LazyDict(raw.templar.variables, raw.templar, frame, label, False)
    if isinstance(raw, Mapping):
        return LazyDict(raw, templar, frame, label, inert or label.rpartition(".")[2] == "ansible_facts")
    if isinstance(raw, (list, tuple)):
        return LazyList(raw, templar, frame, label, inert)
    if isinstance(raw, Sealed):
        raw = templar.unseal(raw, label)
    if isinstance(raw, Secret):
        return Boxed(Secret(raw.reveal(), label) if raw.name == "secret" and label else raw, frame)
    if isinstance(raw, Unknown):
        frame.settled = False
        return enter(templar.result(raw), templar, frame, label, True, position)
    return raw


def plain(value: Any, *, reveal: bool = False) -> Any:
    """Containers as `dict` and `list` all the way down; secrets opened when `reveal`. Raises Pending, Absent."""
    if isinstance(value, Boxed):
        return value.open() if reveal else value
    if isinstance(value, (dict, LazyDict)):
        return {opened(key): plain(item, reveal=reveal) for key, item in value.items()}
    if isinstance(value, (list, LazyList)):
        return [plain(item, reveal=reveal) for item in value]
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            return type(value)(*(plain(item, reveal=reveal) for item in value))
        return tuple(plain(item, reveal=reveal) for item in value)
    if isinstance(value, Undefined):
        raise Absent(as_missing(value))
    return value


def text(value: Any) -> str:
    """A value as it stands in a text: nothing for None and `omit`, written numbers as written."""
    if isinstance(value, str):
        return value
    if value is None or value is OMIT:
        return ""
    if isinstance(value, GeneratorType):
        value = list(value)
    return str(plain(value, reveal=True))


def leave(value: Any, frame: Frame) -> Any:
    """What a lone expression gave, as plain data; a secret again when the render opened one.

    A container keeps its boxes; in one that was made by opening a secret, all text that was not written as it
    stands by the author is boxed.
    """
    value = _native(value, frame.parent is None)
    if not frame.touched:
        return value
    if isinstance(value, (dict, list)):
        return _sealed(value, frame)
    if value is None or value is OMIT or isinstance(value, Secret):
        return value
    return frame.seal(text(value))


def _native(value: Any, outermost: bool) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Text) and not is_template(value) else protected(str(value))
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Boxed):
        return value.secret
    if isinstance(value, (dict, LazyDict)):
        items = ((key, _native(item, outermost)) for key, item in value.items())
        return {opened(key): item for key, item in items if item is not OMIT}
    if isinstance(value, Undefined):
        raise Absent(as_missing(value))
    if isinstance(value, set):
        value = sorted(value, key=str)
    if isinstance(value, (bytes, Omit, Secret)):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(value, (datetime, date, timedelta)):
        # Variables may hold times and compute with them; what a task gets is JSON.
        return str(value) if outermost else value
    if isinstance(value, Iterable):
        return [item for item in (_native(one, outermost) for one in value) if item is not OMIT]
    raise TypeError(f"the expression gives a {type(value).__name__}, which is not data")


def _sealed(value: Any, frame: Frame) -> Any:
    if isinstance(value, dict):
        for key in value:
            if isinstance(key, str) and any(_shows(key, secret.reveal()) for secret in frame.touched.values()):
                raise TypeError(f"a secret cannot be the key of a mapping: (secret {', '.join(frame.touched)})")
        return {key: _sealed(item, frame) for key, item in value.items()}
    if isinstance(value, list):
        return [_sealed(item, frame) for item in value]
    if value is None or isinstance(value, (bool, Int, Float, Secret)) or value is OMIT:
        return value
    if isinstance(value, Text) and (not isinstance(value, Unsafe) or value.position.line):
        return value
    return frame.seal(text(value))


def _shows(key: str, value: str) -> bool:
    # A short value is in half of all words.
    return key == value or (len(value) >= SHORTEST and value in key)


def protected(value: str) -> str:
    """A rendered text; one that looks like a template is marked so that it is never rendered again."""
    if not is_template(value):
        return value
    kept = Unsafe(value)
    kept.position = Position("<rendered>")
    return kept
