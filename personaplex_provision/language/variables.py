"""Variables of one host: layers of definitions, the order in which they win, and who defined what."""

from __future__ import annotations

import collections.abc as abc
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from personaplex_provision.agent.record import dataclass
from personaplex_provision.errors import Diagnostic, InvalidError, Position, UsageError
from personaplex_provision.language import source
from personaplex_provision.language.key_values import parse_key_values
from personaplex_provision.language.vars_file import OpenText, load_vars_file


class Level(IntEnum):
    """The kinds of definitions, weakest first. `combine` says what each is."""

    ROLE_DEFAULT = 1
    INVENTORY_FILE_GROUP = 2
    INVENTORY_GROUP_VARS_ALL = 3
    PLAYBOOK_GROUP_VARS_ALL = 4
    INVENTORY_GROUP_VARS = 5
    PLAYBOOK_GROUP_VARS = 6
    INVENTORY_FILE_HOST = 7
    INVENTORY_HOST_VARS = 8
    PLAYBOOK_HOST_VARS = 9
    FACTS = 10
    PLAY_VARS = 11
    PLAY_VARS_PROMPT = 12
    PLAY_VARS_FILES = 13
    ROLE_VARS = 14
    BLOCK_VARS = 15
    TASK_VARS = 16
    INCLUDE_VARS = 17
    SET_FACT = 18
    ROLE_PARAMS = 19
    INCLUDE_PARAMS = 20
    EXTRA_VARS = 21


@dataclass(frozen=True)
class Layer:
    """Definitions made in one place. `values` knows positions when it is a `source.Mapping`."""

    level: Level
    values: abc.Mapping[str, Any]
    origin: str
    "Where they were made, for people: `roles/x/defaults/main.yml`, `group_vars/lab`, `-e` …"


@dataclass(frozen=True)
class Definition:
    """One definition of one variable, unrendered."""

    name: str
    value: Any
    level: Level
    origin: str
    position: Position | None


def combine(layers: abc.Iterable[Layer]) -> dict[str, Any]:
    """Every variable with the value that wins, unrendered. From the weakest to the strongest:

     1. `ROLE_DEFAULT`              a role's `defaults/`
     2. `INVENTORY_FILE_GROUP`      group variables written in the inventory itself; `all` before the others
     3. `INVENTORY_GROUP_VARS_ALL`  `group_vars/all` beside the inventory
     4. `PLAYBOOK_GROUP_VARS_ALL`   `group_vars/all` beside the playbook
     5. `INVENTORY_GROUP_VARS`      `group_vars/GROUP` beside the inventory
     6. `PLAYBOOK_GROUP_VARS`       `group_vars/GROUP` beside the playbook
     7. `INVENTORY_FILE_HOST`       host variables written in the inventory itself
     8. `INVENTORY_HOST_VARS`       `host_vars/HOST` beside the inventory
     9. `PLAYBOOK_HOST_VARS`        `host_vars/HOST` beside the playbook
    10. `FACTS`                     what was found on the host
    11. `PLAY_VARS`                 `vars:` of the play
    12. `PLAY_VARS_PROMPT`          answers to `vars_prompt:`
    13. `PLAY_VARS_FILES`           `vars_files:` of the play
    14. `ROLE_VARS`                 a role's `vars/`
    15. `BLOCK_VARS`                `vars:` of blocks, the inner one over the outer one
    16. `TASK_VARS`                 `vars:` of the task
    17. `INCLUDE_VARS`              what `include_vars` read
    18. `SET_FACT`                  what `set_fact` set and `register` kept
    19. `ROLE_PARAMS`               parameters given to a role, in `roles:` or `include_role`
    20. `INCLUDE_PARAMS`            parameters given to an include or import
    21. `EXTRA_VARS`                `-e`: nothing beats it

    Within a level the later layer wins. Among groups the deeper one is later (a child beats its parents), then the one
    with the higher `ansible_group_priority`, then the one later in the alphabet; with several inventories the folder of
    the later one beats that of the earlier one. A value replaces the weaker one as a whole: mappings are never merged.
    """
    found: dict[str, Any] = {}
    for layer in sorted(layers, key=_level):
        found.update(layer.values)
    return found


class Variables:
    """An immutable stack of layers; extending it leaves the original as it is and costs little."""

    __slots__ = ("_added", "_base", "_layers", "_values")

    def __init__(self, layers: abc.Iterable[Layer] = ()) -> None:
        self._layers = tuple(sorted(layers, key=_level))
        self._base: Variables | None = None
        self._added: tuple[Layer, ...] = ()
        self._values: dict[str, Any] | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, weakest first."""
        return self._layers

    def extended(self, *layers: Layer) -> Variables:
        """These and `layers`, which win over layers of their own level that are already there."""
        if not layers:
            return self
        more = Variables((*self._layers, *layers))
        more._base, more._added = self, tuple(sorted(layers, key=_level))
        return more

    def as_dict(self) -> abc.Mapping[str, Any]:
        """Every variable with the value that wins, unrendered; read-only."""
        if self._values is None:
            base = self._base._values if self._base is not None else None
            self._values = combine(self._layers) if base is None else self._over(base)
            self._base, self._added = None, ()
        return MappingProxyType(self._values)

    def definitions(self, name: str) -> list[Definition]:
        """Every definition of `name`, the one that wins first."""
        return [
            Definition(name, layer.values[name], layer.level, layer.origin, _position(layer.values, name))
            for layer in reversed(self._layers)
            if name in layer.values
        ]

    def _over(self, base: abc.Mapping[str, Any]) -> dict[str, Any]:
        """`base` with the added layers laid in: what only a few layers change is not combined again."""
        found = dict(base)
        for layer in self._added:
            stronger = [one.values for one in self._layers if one.level > layer.level and one.values]
            for name, value in layer.values.items():
                if not any(name in values for values in stronger):
                    found[name] = value
        return found


def parse_extra_vars(texts: abc.Sequence[str], open_text: OpenText | None = None) -> list[Layer]:
    """The layers of `-e` options, in order: `k=v k2="v 2"` (values are text), `@FILE` (YAML or JSON), or a mapping in
    YAML or JSON. Raises UsageError, InvalidError when a file's content is wrong, MissingFileError."""
    return [_extra(text.strip(), open_text) for text in texts if text.strip()]


def _extra(text: str, open_text: OpenText | None) -> Layer:
    if text.startswith("@"):
        return Layer(Level.EXTRA_VARS, load_vars_file(text[1:], open_text), f"-e {text}")
    if text[0] in "/.":
        raise UsageError(Diagnostic(f"-e {text}: a file of variables is written with @", hint=f"-e @{text}"))
    if text[0] not in "{[":
        return Layer(Level.EXTRA_VARS, parse_key_values(text, "-e"), "-e")
    try:
        data = source.load(text, "-e")
    except InvalidError as error:
        raise UsageError(error.diagnostics) from None
    if not isinstance(data, source.Mapping):
        raise UsageError(Diagnostic("-e is given a list, and needs a mapping", hint="""-e '{"name": ["a", "b"]}'"""))
    return Layer(Level.EXTRA_VARS, data, "-e")


def _level(layer: Layer) -> Level:
    return layer.level


def _position(values: abc.Mapping[str, Any], name: str) -> Position | None:
    if isinstance(values, source.Mapping) and name in values.key_positions:
        return values.key_positions[name]
    return source.position_of(values[name])
