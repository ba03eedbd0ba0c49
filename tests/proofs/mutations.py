"""Valid inputs, spoilt: bytes, lines and values of a thing that was right are taken away, doubled and swapped."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

FRAGMENTS = (
    "{{", "}}", "{% if", "{%", "%}", "{#", "{{ x }}", "{{ lookup('file', 'x') }}", "&a", "*a", "<<: *a", "!vault |",
    "!!python/object:os.system", "- ", ": ", "\t", "\0", "\ufeff", "\u2028", "\ud800", "''", '"', "[", "]", "{", "}",
    "|", ">", "#", "%", "~", "null", "0", "-1", "1e999", "0x", "yes", "\n---\n", "\n...\n", "block:", "tasks:",
    "hosts:", "vars:", "name:",
)
"""What means something to one of our parsers."""

VALUES: tuple[Any, ...] = (None, True, 0, -1, 1e308, "", "x", "{{ x }}", [], ["x"], {}, {"x": "x"}, [[]], [None])
"""What may stand where something else was."""

Edits = list[tuple[int, int, int]]
"""Which way of spoiling, where, and with what, each as a number."""

EDITS: st.SearchStrategy[Edits] = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 1 << 20), st.integers(0, 1 << 20)), min_size=1, max_size=4,
)


def spoilt_text(text: str, edits: Edits) -> bytes:
    """A text with its lines, words and marks spoilt; not always UTF-8."""
    for way, place, what in edits:
        lines = text.splitlines(keepends=True) or [""]
        line = place % len(lines)
        at = place % (len(text) + 1)
        fragment = FRAGMENTS[what % len(FRAGMENTS)]
        if way == 0:
            del lines[line]
        elif way == 1:
            lines.insert(what % (len(lines) + 1), lines[line])
        elif way == 2:
            lines[line] = " " * (what % 7) + lines[line].lstrip()
        elif way == 3:
            lines[line] = lines[line].replace(":", fragment, 1)
        elif way == 4:
            head, _, tail = lines[line].partition(":")
            lines[line] = f"{head}: {fragment}{chr(10) if tail.endswith(chr(10)) else ''}"
        elif way == 5:
            lines[line] = lines[line].rstrip("\n") + fragment + "\n"
        if way <= 5:
            text = "".join(lines)
        elif way == 6:
            text = text[:at] + fragment + text[at:]
        elif way == 7:
            text = text[:at] + text[at + what % 40 :]
        elif way == 8:
            text = text[:at]
        else:
            text = text[:at] + chr(what % 0x1100) + text[at + 1 :]
    return text.encode("utf-8", "surrogatepass")


def spoilt_bytes(data: bytes, edits: Edits) -> bytes:
    """Bytes that were changed, cut, doubled and put in."""
    for way, place, what in edits:
        at = place % (len(data) + 1)
        if way <= 3:
            data = data[:at] + bytes([what % 256]) + data[at + 1 :]
        elif way == 4:
            data = data[:at]
        elif way == 5:
            data = data[:at] + data[at + what % 64 :]
        elif way == 6:
            data = data[:at] + data[at - what % 64 if at > 64 else 0 : at] + data[at:]
        elif way == 7:
            data = data[:at] + what.to_bytes(4, "big") + data[at:]
        else:
            data = data[:at] + bytes([data[at] ^ (1 << what % 8)]) + data[at + 1 :] if at < len(data) else data
    return data


def spoilt_lines(data: bytes, edits: Edits) -> bytes:
    """Whole lines that are gone, doubled or in another order: each is right, together they are not."""
    lines = data.splitlines(keepends=True)
    for way, place, what in edits:
        if not lines:
            break
        here, there = place % len(lines), what % len(lines)
        if way <= 3:
            del lines[here]
        elif way <= 6:
            lines[here], lines[there] = lines[there], lines[here]
        elif way <= 8:
            lines.insert(there, lines[here])
        else:
            del lines[here:]
    return b"".join(lines)


def spoilt_json(value: Any, edits: Edits) -> Any:
    """A JSON value in which some inner values are others, gone, or under another key."""
    value = json.loads(json.dumps(value))
    for way, place, what in edits:
        inner = list(_containers(value))
        if not inner:
            break
        at = inner[place % len(inner)]
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = keys[what % len(keys)]
        if way <= 6:
            at[key] = copy.deepcopy(VALUES[(place + what) % len(VALUES)])
        elif way <= 8:
            del at[key]
        elif isinstance(at, dict):
            at["x"] = at.pop(key)
    return value


def _containers(value: Any) -> Any:
    if isinstance(value, (dict, list)) and value:
        yield value
        for one in value.values() if isinstance(value, dict) else value:
            yield from _containers(one)
