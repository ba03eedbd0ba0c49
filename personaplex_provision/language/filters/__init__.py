"""Filters: Jinja's own and Ansible's, under their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from personaplex_provision.language.engine import hooked
from personaplex_provision.language.filters import collections, data, hashes, numbers, paths, text

# These arrange values and do not look at them: secrets pass through in their boxes.
_KEEP = frozenset((
    "batch", "combinations", "combine", "dict2items", "dictsort", "difference", "extract", "flatten", "groupby",
    "intersect", "items", "items2dict", "max", "min", "permutations", "product", "random", "rekey_on_member",
    "reverse", "select", "reject", "selectattr", "rejectattr", "shuffle", "slice", "sort", "subelements",
    "symmetric_difference", "union", "unique", "zip", "zip_longest", "attr", "map",
))
# These do not even render what they arrange.
_LAZY = frozenset(("count", "d", "default", "first", "last", "length", "list", "mandatory", "ternary", "type_debug"))


def all_filters(builtin: Mapping[str, Any]) -> dict[str, Any]:
    """Every filter by name, each in the wrapper that opens and notes secrets."""
    functions: dict[str, Any] = {**builtin}
    for module in (collections, data, hashes, numbers, paths, text):
        functions.update(module.FILTERS)
    return {name: hooked(name, "filter", function, mode(name)) for name, function in functions.items()}


def mode(name: str) -> str:
    """How much of its arguments a filter sees; see `engine.hooked`."""
    return "lazy" if name in _LAZY else "keep" if name in _KEEP else "reveal"
