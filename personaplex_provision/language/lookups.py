"""Lookups: values that the controller finds in its files, its environment, other variables or a command's output.

Relative paths start in `files/` (`templates/`, `vars/`) of the role, then of the playbook. All of them only read,
but `password`, which makes the file it is asked for.
"""

from __future__ import annotations

import glob
import itertools
import os
import subprocess
from collections.abc import Callable, Mapping
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from personaplex_provision.errors import Diagnostic, InvalidError, Position, suggestion
from personaplex_provision.language import lazy, lookup_files
from personaplex_provision.language.boxes import CURRENT, Frame
from personaplex_provision.language.filters.collections import flatten, subelements

if TYPE_CHECKING:
    from personaplex_provision.language.templates import Templar

Options = dict[str, Any]
Lookup = Callable[[list[Any], Options, Frame], list[Any]]


def lookup(name: str, terms: Any, templar: Templar, position: Position | None = None) -> list[Any]:
    """What `with_NAME: terms` loops over; `terms` are rendered. Raises InvalidError, MissingFileError, Pending."""
    frame = CURRENT.get() or Frame(templar, "", "", None, None)
    given = terms if isinstance(terms, (list, tuple)) else [terms]
    try:
        return [lazy.leave(one, frame) for one in run_lookup(name.rpartition(".")[2], list(given), {}, frame)]
    except (ValueError, TypeError, OSError) as error:
        raise InvalidError(Diagnostic(f"with_{name} failed: {error}", position=position)) from None


def run_lookup(name: str, terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    """What the lookup finds, one item or more a term. Raises ValueError when there is no such lookup."""
    found = LOOKUPS.get(name)
    if found is None:
        why = _REFUSED.get(name) or suggestion(name, LOOKUPS) or f"there are: {', '.join(sorted(LOOKUPS))}"
        raise ValueError(f"there is no such lookup here; {why}")
    return found(terms, options, frame)


def _items(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return flatten(terms, levels=1, skip_nulls=False)


def _list(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return terms


def _flattened(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return flatten(terms)


def _indexed(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return [[index, one] for index, one in enumerate(flatten(terms, levels=1, skip_nulls=False))]


def _dict(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    found = []
    for one in flatten(terms, levels=1):
        if not isinstance(one, Mapping):
            raise ValueError("it takes mappings")
        found += [{"key": key, "value": value} for key, value in one.items()]
    return found


def _as_lists(terms: list[Any]) -> list[list[Any]]:
    return [list(one) if isinstance(one, (list, tuple)) else [one] for one in terms]


def _nested(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return [flatten(one, levels=1, skip_nulls=False) for one in itertools.product(*_as_lists(terms))]


def _together(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return [list(one) for one in itertools.zip_longest(*_as_lists(terms))]


def _subelements(terms: list[Any], options: Options, _frame: Frame) -> list[Any]:
    if len(terms) < 2:
        raise ValueError("it takes a list of mappings and the name of the list inside each")
    flags = terms[2] if len(terms) > 2 and isinstance(terms[2], Mapping) else options
    skip = str(flags.get("skip_missing", False)).lower() in ("true", "yes", "1")
    return [list(one) for one in subelements(terms[0], terms[1], skip)]


def _random_choice(terms: list[Any], _options: Options, _frame: Frame) -> list[Any]:
    return [SystemRandom().choice(flatten(terms, levels=1))]


def _sequence(terms: list[Any], options: Options, _frame: Frame) -> list[Any]:
    found: list[Any] = []
    for term in terms or [""]:
        found += _counted({**options, **_pairs(str(term), _SEQUENCE_KEYS)})
    return found


_SEQUENCE_KEYS = ("start", "end", "count", "stride", "format")


def _pairs(text: str, keys: tuple[str, ...]) -> dict[str, str]:
    """`start=1 end=5`, or Ansible's short form `1-5/2:%02d`."""
    import shlex

    words = shlex.split(text)
    if words and all("=" in word for word in words):
        pairs = dict(word.split("=", 1) for word in words)
        wrong = next((key for key in pairs if key not in keys), None)
        if wrong is not None:
            raise ValueError(f'it does not take "{wrong}"; it takes: {", ".join(keys)}')
        return pairs
    if not words:
        return {}
    rest, _, form = text.partition(":")
    rest, _, stride = rest.partition("/")
    start, dash, end = rest.rpartition("-")
    found = {"end": end, "format": form, "stride": stride, "start": start if dash and start else ""}
    return {key: value for key, value in found.items() if value}


def _counted(options: Mapping[str, Any]) -> list[str]:
    def number(key: str, default: int) -> int:
        return int(str(options[key]), 0) if options.get(key) not in (None, "") else default

    start, stride = number("start", 1), number("stride", 1)
    if options.get("count") is not None and options.get("end") is not None:
        raise ValueError("count and end exclude each other")
    if options.get("count") is not None:
        count = number("count", 0)
        numbers = [start + index * stride for index in range(count)]
    elif options.get("end") is not None:
        end = number("end", 0)
        if stride == 0:
            return []
        if (end - start) * stride < 0:
            raise ValueError("it would count away from the end; give a stride of the other sign")
        numbers = list(range(start, end + (1 if stride > 0 else -1), stride))
    else:
        raise ValueError("it needs end= or count=")
    form = str(options.get("format") or "%d")
    return [form % one for one in numbers]


def _env(terms: list[Any], options: Options, _frame: Frame) -> list[Any]:
    return [os.environ.get(str(one), options.get("default", "")) for one in terms]


def _vars(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    found = []
    for name in terms:
        if frame.templar.has(str(name)):
            found.append(frame.templar.variable(str(name), frame))
        elif "default" in options:
            found.append(options["default"])
        else:
            near = suggestion(str(name), frame.templar.variables)
            raise ValueError(f'the variable "{name}" is not defined{"; " + near if near else ""}')
    return found


def _varnames(terms: list[Any], _options: Options, frame: Frame) -> list[Any]:
    import re

    return [name for term in terms for name in frame.templar.variables if re.search(str(term), name)]


def _hostnames(terms: list[Any], _options: Options, frame: Frame) -> list[Any]:
    groups = lazy.plain(frame.templar.variable("groups", frame)) if frame.templar.has("groups") else {}
    found: list[str] = []
    for pattern in str(",".join(str(one) for one in terms)).replace(":", ",").split(","):
        word = pattern.lstrip("!&")
        members = groups.get(word, [one for one in groups.get("all", []) if one == word])
        if pattern.startswith("!"):
            found = [one for one in found if one not in members]
        elif pattern.startswith("&"):
            found = [one for one in found if one in members]
        else:
            found += [one for one in members if one not in found]
    return list(found)


def _pipe(terms: list[Any], _options: Options, frame: Frame) -> list[Any]:
    folder = frame.templar.search_path[-1] if frame.templar.search_path else None
    found = []
    for command in terms:
        ended = subprocess.run(str(command), shell=True, capture_output=True, cwd=folder, stdin=subprocess.DEVNULL)
        if ended.returncode:
            said = ended.stderr.decode("utf-8", "replace").strip() or "it said nothing"
            raise ValueError(f"`{command}` ended with {ended.returncode}: {said}")
        found.append(ended.stdout.decode("utf-8", "replace").rstrip())
    return found


def _lines(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    return [line for text in _pipe(terms, options, frame) for line in text.splitlines()]


def _template(terms: list[Any], options: Options, frame: Frame) -> list[Any]:
    extra = options.get("template_vars") or {}
    templar = frame.templar.with_variables(extra) if extra else frame.templar
    return [templar.render_file(str(one)) for one in terms]


def _fileglob(terms: list[Any], _options: Options, frame: Frame) -> list[Any]:
    return [one for pattern in terms for one in _globbed(str(pattern), frame)]


def _globbed(pattern: str, frame: Frame) -> list[str]:
    wanted = os.path.expanduser(pattern)
    # As in Ansible, the first directory that has a match is the only one looked at.
    for place in [wanted] if os.path.isabs(wanted) else frame.templar.candidates(wanted, "files"):
        matches = sorted(one for one in glob.glob(place) if os.path.isfile(one))
        if matches:
            return matches
    return []


def _unvault(terms: list[Any], _options: Options, frame: Frame) -> list[Any]:
    return [lookup_files.content(str(one), frame) for one in terms]


LOOKUPS: dict[str, Lookup] = {
    "cartesian": _nested, "dict": _dict, "env": _env, "fileglob": _fileglob, "flattened": _flattened,
    "indexed_items": _indexed, "inventory_hostnames": _hostnames, "items": _items, "lines": _lines, "list": _list,
    "nested": _nested, "pipe": _pipe, "random_choice": _random_choice, "sequence": _sequence,
    "subelements": _subelements, "template": _template, "together": _together, "unvault": _unvault,
    "varnames": _varnames, "vars": _vars, **lookup_files.LOOKUPS,
}
STRUCTURAL = frozenset((
    "cartesian", "dict", "flattened", "indexed_items", "items", "list", "nested", "random_choice", "subelements",
    "together",
))
"""Lookups that arrange values and do not look at them: secrets pass through in their boxes."""
_REFUSED = {
    "config": "settings of Ansible itself have no meaning here; provision.toml holds ours",
    "hashi_vault": "fetch the secret with lookup('pipe', …), or keep it in Ansible Vault",
    "k8s": "use lookup('pipe', 'kubectl get … -o json') | from_json",
    "dig": "use lookup('pipe', 'dig +short NAME')",
    "aws_secret": "use lookup('pipe', 'aws secretsmanager …')",
}
