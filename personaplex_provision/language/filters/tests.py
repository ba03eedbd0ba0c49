"""Tests (`is …`): Jinja's own and Ansible's, under their names."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from personaplex_provision.language.boxes import Boxed, opened
from personaplex_provision.language.engine import hooked
from personaplex_provision.language.filters.text import to_bool
from personaplex_provision.language.filters.versions import version
from personaplex_provision.language.jinja import Undefined
from personaplex_provision.language.lazy import LazyDict, LazyList
from personaplex_provision.language.vault import is_vault


def defined(value: Any) -> bool:
    """Whether there is such a value."""
    return not isinstance(value, Undefined)


def undefined(value: Any) -> bool:
    """Whether there is no such value."""
    return isinstance(value, Undefined)


def _flag(result: Any, name: str) -> bool:
    if not isinstance(result, Mapping):
        raise TypeError(f"it is for what a task registered, not for {type(opened(result)).__name__}")
    return bool(result[name]) if name in result else False


def failed(result: Any) -> bool:
    """Whether the task failed."""
    return _flag(result, "failed")


def succeeded(result: Any) -> bool:
    """Whether the task did not fail."""
    return not _flag(result, "failed")


def skipped(result: Any) -> bool:
    """Whether the task was skipped."""
    return _flag(result, "skipped")


def unreachable(result: Any) -> bool:
    """Whether the host could not be reached."""
    return _flag(result, "unreachable")


def reachable(result: Any) -> bool:
    """Whether the host could be reached."""
    return not _flag(result, "unreachable")


def changed(result: Any) -> bool:
    """Whether the task, or one of its loop's items, changed something."""
    if isinstance(result, Mapping) and "changed" not in result and isinstance(result.get("results"), (list, LazyList)):
        return any(_flag(one, "changed") for one in result["results"] if isinstance(one, Mapping))
    return _flag(result, "changed")


def finished(result: Any) -> bool:
    """Whether a detached task has ended; every task here has."""
    return _flag(result, "finished") if isinstance(result, Mapping) and "finished" in result else True


def timed_out(result: Any) -> bool:
    """Whether the task ran out of time."""
    return _flag(result, "timedout")


def regex(
    value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False, match_type: str = "search"
) -> bool:
    """Whether the pattern is found: anywhere (`search`), at the start (`match`) or as the whole (`fullmatch`)."""
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    return bool(getattr(re.compile(pattern, flags), match_type)(str(value)))


def match(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    """Whether the pattern matches at the start."""
    return regex(value, pattern, ignorecase, multiline, "match")


def truthy(value: Any, convert_bool: bool = False) -> bool:
    """Whether the value holds by Python's rules; `convert_bool` reads yes and no first."""
    if convert_bool:
        try:
            return to_bool(value)
        except ValueError:
            pass
    return bool(value)


def falsy(value: Any, convert_bool: bool = False) -> bool:
    """The opposite of `truthy`."""
    return not truthy(value, convert_bool)


def contains(values: Any, value: Any) -> bool:
    """Whether `value` is in `values`."""
    return value in values


def subset(some: Any, all_: Any) -> bool:
    """Whether all of `some` is in the other."""
    return all(one in all_ for one in some)


def superset(all_: Any, some: Any) -> bool:
    """Whether all of the other is in this."""
    return all(one in all_ for one in some)


def not_a_number(value: Any) -> bool:
    """Whether it is the number NaN."""
    return isinstance(value, float) and math.isnan(value)


def uri(value: Any, schemes: Any = None) -> bool:
    """Whether it is a URI (of one of the schemes)."""
    try:
        parts = urlparse(str(value))
    except ValueError:
        return False
    return not schemes or parts.scheme in schemes


def url(value: Any, schemes: Any = None) -> bool:
    """Whether it is a URL: a scheme and a host, or a file."""
    parts = urlparse(str(value))
    return uri(value, schemes) and bool(parts.netloc or parts.scheme == "file")


def urn(value: Any) -> bool:
    """Whether it is a URN."""
    return uri(value, ["urn"])


def mapping(value: Any) -> bool:
    """Whether it is a mapping."""
    return isinstance(value, (LazyDict, Mapping))


def sequence(value: Any) -> bool:
    """Whether it can be counted and indexed (lists, mappings and texts)."""
    return isinstance(value, (LazyList, LazyDict, list, tuple, str, dict, Boxed))


def iterable(value: Any) -> bool:
    """Whether it can be gone through."""
    return hasattr(value, "__iter__") and not isinstance(value, Undefined)


def string(value: Any) -> bool:
    """Whether it is text."""
    return isinstance(value, (str, Boxed))


def none(value: Any) -> bool:
    """Whether it is null."""
    return value is None


def vault_encrypted(value: Any) -> bool:
    """Whether it is sealed by Ansible Vault, or was before it was opened."""
    return isinstance(value, Boxed) or (isinstance(value, str) and is_vault(value))


def vaulted_file(path: Any) -> bool:
    """Whether the file on this machine is sealed by Ansible Vault."""
    return is_vault(Path(str(path)).read_bytes()[:64].decode("latin-1"))


# Strict as all else: asking these of an undefined value is an error, not "no".
_STRICT_LAZY: dict[str, Any] = {
    "changed": changed, "change": changed, "failed": failed, "failure": failed, "succeeded": succeeded,
    "success": succeeded, "successful": succeeded, "skipped": skipped, "skip": skipped, "reachable": reachable,
    "unreachable": unreachable, "finished": finished, "started": finished, "timedout": timed_out, "mapping": mapping,
    "sequence": sequence, "iterable": iterable, "string": string, "none": none, "vault_encrypted": vault_encrypted,
}
_LAZY: dict[str, Any] = {"defined": defined, "undefined": undefined}
_REVEAL: dict[str, Any] = {
    "version": version, "version_compare": version, "regex": regex, "search": regex, "match": match,
    "truthy": truthy, "falsy": falsy, "contains": contains, "subset": subset, "issubset": subset,
    "superset": superset, "issuperset": superset, "nan": not_a_number, "isnan": not_a_number, "any": any, "all": all,
    "uri": uri, "url": url, "urn": urn, "vaulted_file": vaulted_file,
    "directory": os.path.isdir, "is_dir": os.path.isdir, "file": os.path.isfile, "is_file": os.path.isfile,
    "link": os.path.islink, "is_link": os.path.islink, "exists": os.path.exists, "link_exists": os.path.lexists,
    "abs": os.path.isabs, "is_abs": os.path.isabs, "same_file": os.path.samefile, "is_same_file": os.path.samefile,
    "mount": os.path.ismount, "is_mount": os.path.ismount,
}


def all_tests(builtin: Mapping[str, Any]) -> dict[str, Any]:
    """Every test by name, each in the wrapper that opens and notes secrets."""
    found = {name: hooked(name, "test", function) for name, function in {**builtin, **_REVEAL}.items()}
    for name, function in _STRICT_LAZY.items():
        found[name] = hooked(name, "test", _refusing_undefined(function), "lazy")
    for name, function in _LAZY.items():
        found[name] = hooked(name, "test", function, "lazy")
    return found


def _refusing_undefined(function: Any) -> Any:
    def test(value: Any) -> Any:
        if isinstance(value, Undefined):
            str(value)
        return function(value)

    return test
