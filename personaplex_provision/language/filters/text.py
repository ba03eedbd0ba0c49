"""Filters on text: regular expressions, quoting, comments, time."""

from __future__ import annotations

import re
import shlex
import time
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus, urlsplit

_TRUE = ("yes", "on", "true", "1", "y", "t")
_FALSE = ("no", "off", "false", "0", "n", "f", "")
_COMMENTS: dict[str, dict[str, str]] = {
    "plain": {"decoration": "# "},
    "erlang": {"decoration": "% "},
    "c": {"decoration": "// "},
    "cblock": {"beginning": "/*", "decoration": " * ", "end": " */"},
    "xml": {"beginning": "<!--", "decoration": " - ", "end": "-->"},
}


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def regex_replace(
    value: Any = "", pattern: str = "", replacement: str = "", ignorecase: bool = False, multiline: bool = False,
    count: int = 0, mandatory_count: int = 0,
) -> str:
    """`value` with matches of `pattern` replaced; `mandatory_count` demands so many."""
    result, found = re.compile(pattern, _flags(ignorecase, multiline)).subn(replacement, str(value), count=count)
    if mandatory_count and mandatory_count != found:
        raise ValueError(f"{pattern!r} has to match {mandatory_count} times and matches {found} times")
    return result


def regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    """All matches, or their groups."""
    return re.findall(regex, str(value), _flags(ignorecase, multiline))


def regex_search(
    value: Any, regex: str, *groups: str, ignorecase: bool = False, multiline: bool = False
) -> str | list[Any] | None:
    """The first match, or the asked groups (`\\\\1`, `\\\\g<name>`) of it; None without a match."""
    wanted: list[int | str] = []
    for one in groups:
        named, numbered = re.match(r"\\g<(\S+)>", one), re.match(r"\\(\d+)", one)
        if named:
            wanted.append(int(named[1]) if named[1].isdigit() else named[1])
        elif numbered:
            wanted.append(int(numbered[1]))
        else:
            raise ValueError(rf"{one!r} is not a group; write '\\1' or '\\g<name>'")
    found = re.search(regex, str(value), _flags(ignorecase, multiline))
    if found is None:
        return None
    return [found.group(one) for one in wanted] if wanted else found.group()


def regex_escape(value: Any, re_type: str = "python") -> str:
    """`value` as a pattern that matches it literally."""
    if re_type == "python":
        return re.escape(str(value))
    if re_type == "posix_basic":
        return re.sub(r"([].[^$*\\])", r"\\\1", str(value))
    raise ValueError(f"re_type is python or posix_basic, not {re_type!r}")


def quote(value: Any) -> str:
    """`value` as one word of a shell command."""
    return shlex.quote("" if value is None else str(value))


def to_bool(value: Any) -> bool:
    """Ansible's reading of yes and no. Raises ValueError for what is neither."""
    if isinstance(value, bool):
        return value
    if value is None:
        return False
    word = str(value).strip().lower()
    if word in _TRUE or (isinstance(value, (int, float)) and value == 1):
        return True
    if word in _FALSE or (isinstance(value, (int, float)) and value == 0):
        return False
    raise ValueError(f"{value!r} is neither yes nor no; compare it, or use `| length > 0` for text that is not empty")


def comment(text: str, style: str = "plain", **changes: Any) -> str:
    """`text` as a comment; every part of the style can be changed (`decoration`, `prefix`, `prefix_count` …)."""
    if style not in _COMMENTS:
        raise ValueError(f"{style!r} is not a comment style; there are: {', '.join(_COMMENTS)}")
    edge = str(changes.get("decoration", _COMMENTS[style]["decoration"])).rstrip()
    part: dict[str, Any] = {
        "newline": "\n", "beginning": "", "prefix": edge, "prefix_count": 1, "decoration": "", "postfix": edge,
        "postfix_count": 1, "end": "", **_COMMENTS[style], **changes,
    }
    newline, decoration = part["newline"], part["decoration"]
    body = decoration + text.replace(newline, newline + decoration)
    body = body.replace(decoration + newline, decoration.rstrip() + newline)
    prefix = part["prefix"] if part["prefix"] in ("", newline) else part["prefix"] + newline
    if part["prefix"] == newline:
        prefix = newline
    return "".join((
        part["beginning"] + newline if part["beginning"] else "",
        prefix * int(part["prefix_count"]),
        body,
        (newline + part["postfix"]) * int(part["postfix_count"]),
        newline + part["end"] if part["end"] else "",
    ))


def split(value: str, separator: str | None = None, maxsplit: int = -1) -> list[str]:
    """The pieces of `value` between separators."""
    return value.split(separator, maxsplit)


def strftime(string_format: str, second: Any = None, utc: bool = False) -> str:
    """A time (seconds since 1970, now when left out) in this format."""
    moment = None if second is None else float(second)
    return time.strftime(string_format, time.gmtime(moment) if utc else time.localtime(moment))


def to_datetime(value: str, format: str = "%Y-%m-%d %H:%M:%S") -> datetime:
    """The point in time that `value` writes."""
    return datetime.strptime(value, format)


def url_split(value: str, query: str = "") -> Any:
    """The parts of a URL, or one of them."""
    parts = urlsplit(value)
    found: dict[str, Any] = {
        "fragment": parts.fragment, "hostname": parts.hostname, "netloc": parts.netloc, "password": parts.password,
        "path": parts.path, "port": parts.port, "query": parts.query, "scheme": parts.scheme,
        "username": parts.username,
    }
    if not query:
        return found
    if query not in found:
        raise ValueError(f"a URL has no part {query!r}; it has: {', '.join(found)}")
    return found[query]


FILTERS: dict[str, Any] = {
    "bool": to_bool,
    "comment": comment,
    "quote": quote,
    "regex_escape": regex_escape,
    "regex_findall": regex_findall,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "split": split,
    "strftime": strftime,
    "to_datetime": to_datetime,
    "urldecode": unquote_plus,
    "urlsplit": url_split,
}
