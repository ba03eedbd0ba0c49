"""Filters on lists and mappings. Set operations keep the order of the first list, so that a plan is the same twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from personaplex_provision.language.boxes import OMIT, Absent, Boxed, as_missing
from personaplex_provision.language.jinja import Undefined, do_unique, pass_environment
from personaplex_provision.language.lazy import LazyDict, LazyList
from personaplex_provision.language.source import Float, Int, Text

_MERGES = ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp")


def default(value: Any, fallback: Any = "", boolean: bool = False) -> Any:
    """`value`, or `fallback` when it is not defined (with `boolean`, when it is empty too)."""
    return fallback if isinstance(value, Undefined) or (boolean and not value) else value


def mandatory(value: Any, msg: str | None = None) -> Any:
    """`value`; fails when it is not defined."""
    if isinstance(value, Undefined):
        if msg is not None:
            raise ValueError(msg)
        raise Absent(as_missing(value))
    return value


def ternary(value: Any, true_val: Any, false_val: Any, none_val: Any = None) -> Any:
    """One of the values, by whether `value` holds."""
    if value is None and none_val is not None:
        return none_val
    return true_val if value else false_val


def type_debug(value: Any) -> str:
    """The name of the value's type."""
    if isinstance(value, Undefined):
        return "Undefined"
    named: tuple[tuple[Any, str], ...] = (
        ((LazyDict, dict), "dict"), ((LazyList, list), "list"), ((Text, Boxed), "str"), (Int, "int"), (Float, "float"),
    )
    for kinds, name in named:
        if isinstance(value, kinds):
            return name
    return "NoneType" if value is None else "omit" if value is OMIT else type(value).__name__


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> dict[Any, Any]:
    """The mappings merged, later ones winning; see Ansible's `combine` for `recursive` and `list_merge`."""
    if list_merge not in _MERGES:
        raise ValueError(f"list_merge is one of {', '.join(_MERGES)}, not {list_merge!r}")
    found: dict[Any, Any] = {}
    for one in flatten(terms, levels=1):
        if not isinstance(one, Mapping):
            raise TypeError(f"it takes mappings, not {type_debug(one)}")
        found = _merged(found, one, recursive, list_merge)
    return found


def _merged(low: Mapping[Any, Any], high: Mapping[Any, Any], recursive: bool, lists: str) -> dict[Any, Any]:
    found = dict(low)
    for key, new in high.items():
        old = found.get(key)
        if recursive and isinstance(old, Mapping) and isinstance(new, Mapping):
            found[key] = _merged(old, new, recursive, lists)
        elif isinstance(old, list) and isinstance(new, list):
            found[key] = _joined(old, new, lists)
        else:
            found[key] = new
    return found


def _joined(old: list[Any], new: list[Any], how: str) -> list[Any]:
    if how == "keep":
        return old
    if how.endswith("_rp"):
        old = [one for one in old if one not in new]
    if how.startswith("append"):
        return old + new
    return new + old if how.startswith("prepend") else new


def flatten(values: Iterable[Any], levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    """Lists inside lists as one list; `levels` deep at most."""
    found: list[Any] = []
    for one in values:
        if skip_nulls and (one is None or (isinstance(one, str) and one in ("None", "null"))):
            continue
        if isinstance(one, (list, tuple)) and (levels is None or levels > 0):
            found += flatten(one, None if levels is None else int(levels) - 1, skip_nulls)
        else:
            found.append(one)
    return found


def dict2items(mapping: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    """A mapping as a list of `{key, value}`."""
    if not isinstance(mapping, Mapping):
        raise TypeError(f"it takes a mapping, not {type_debug(mapping)}")
    return [{key_name: key, value_name: value} for key, value in mapping.items()]


def items2dict(items: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    """A list of `{key, value}` as a mapping."""
    if not isinstance(items, (list, tuple)):
        raise TypeError(f"it takes a list, not {type_debug(items)}")
    try:
        return {one[key_name]: one[value_name] for one in items}
    except (KeyError, TypeError):
        raise ValueError(f'each item has to be a mapping with "{key_name}" and "{value_name}"') from None


def subelements(values: Any, path: Any, skip_missing: bool = False) -> list[Any]:
    """Each element paired with each item of the list that it holds at `path`."""
    elements = list(values.values()) if isinstance(values, Mapping) else values
    if not isinstance(elements, list):
        raise TypeError("it takes a list of mappings, or a mapping of them")
    found = []
    for element in elements:
        inner = element
        for key in path if isinstance(path, list) else path.split("."):
            if not isinstance(inner, Mapping):
                raise TypeError(f'"{key}" is looked for in {type_debug(inner)}, not in a mapping')
            if key not in inner:
                if not skip_missing:
                    raise ValueError(f'an element has no "{key}"; skip_missing=True passes over it')
                inner = []
                break
            inner = inner[key]
        if not isinstance(inner, list):
            raise TypeError(f"{path!r} has to lead to a list, not to {type_debug(inner)}")
        found += [(element, one) for one in inner]
    return found


@pass_environment
def unique(environment: Any, values: Any, case_sensitive: bool = True, attribute: str | None = None) -> list[Any]:
    """The values without repetition, in order."""
    values = list(values)
    try:
        return list(do_unique(environment, values, case_sensitive=bool(case_sensitive), attribute=attribute))
    except TypeError:
        return _distinct(values)


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for one in values:
        if one not in found:
            found.append(one)
    return found


def union(first: list[Any], second: list[Any]) -> list[Any]:
    """What is in either list."""
    return _distinct([*first, *second])


def intersect(first: list[Any], second: list[Any]) -> list[Any]:
    """What is in both lists."""
    return _distinct(one for one in first if one in second)


def difference(first: list[Any], second: list[Any]) -> list[Any]:
    """What is in the first list and not in the second."""
    return _distinct(one for one in first if one not in second)


def symmetric_difference(first: list[Any], second: list[Any]) -> list[Any]:
    """What is in one of the lists and not in both."""
    return [*difference(first, second), *difference(second, first)]


@pass_environment
def extract(environment: Any, item: Any, container: Any, morekeys: Any = None) -> Any:
    """`container[item]`, and further in by `morekeys`; for `map('extract', container)`."""
    more = [] if morekeys is None else morekeys if isinstance(morekeys, list) else [morekeys]
    for key in (item, *more):
        container = environment.getitem(container, key)
    return container


def rekey_on_member(values: Any, key: str, duplicates: str = "error") -> dict[Any, Any]:
    """A mapping of mappings, or a list of them, by one of their members."""
    if duplicates not in ("error", "overwrite"):
        raise ValueError(f"duplicates is error or overwrite, not {duplicates!r}")
    found: dict[Any, Any] = {}
    for one in values.values() if isinstance(values, Mapping) else values:
        if not isinstance(one, Mapping) or key not in one:
            raise ValueError(f'each item has to be a mapping with "{key}"')
        if one[key] in found and duplicates == "error":
            raise ValueError(f'"{key}" is {one[key]!r} twice')
        found[one[key]] = one
    return found


FILTERS: dict[str, Any] = {
    "combinations": itertools.combinations,
    "combine": combine,
    "d": default,
    "default": default,
    "dict2items": dict2items,
    "difference": difference,
    "extract": extract,
    "flatten": flatten,
    "intersect": intersect,
    "items2dict": items2dict,
    "mandatory": mandatory,
    "permutations": itertools.permutations,
    "product": itertools.product,
    "rekey_on_member": rekey_on_member,
    "subelements": subelements,
    "symmetric_difference": symmetric_difference,
    "ternary": ternary,
    "type_debug": type_debug,
    "union": union,
    "unique": unique,
    "zip": zip,
    "zip_longest": itertools.zip_longest,
}
