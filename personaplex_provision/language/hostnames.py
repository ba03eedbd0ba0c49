"""Host names as inventories write them: a name or address, perhaps with ranges, perhaps with a port."""

from __future__ import annotations

import ipaddress
import re
from string import ascii_letters

LOCALHOST = ("127.0.0.1", "localhost", "::1")
"Names that mean this machine when no inventory holds them."

_LIMIT = 100_000
_RANGE = re.compile(r"\[(?:[a-z]:[a-z]|[0-9a-f]+:[0-9a-f]+)(?::[0-9]+)?\]", re.IGNORECASE)
_LABELS = re.compile(r"(?:\w[\w-]*(?<![-_])\.)*\w[\w-]*(?<![-_])")
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*")


def split_port(text: str) -> tuple[str, int | None]:
    """`host:22` and `[fe80::1]:22` as name and port; what does not look like that is a name as a whole."""
    if _PLAIN.fullmatch(text):
        return text, None
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        if host.startswith("[") and host.endswith("]") and is_name(host[1:-1]):
            return host[1:-1], int(port)
        if ":" not in re.sub(r"\[[^\]]*\]", "", host) and is_name(host):
            return host, int(port)
    return text, None


def is_name(text: str) -> bool:
    """Whether `text` is a host name or an address, ranges allowed."""
    bare = _RANGE.sub("1", text)
    if _LABELS.fullmatch(bare):
        return True
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


def expand(pattern: str) -> list[str]:
    """The names that `lab[01:12]`, `[a:f]` or `n[0:8:2]-[a:b]` stand for. Raises ValueError with the reason."""
    if "[" not in pattern:
        return [pattern]
    head, _, rest = pattern.partition("[")
    span, closed, tail = rest.partition("]")
    if not closed:
        raise ValueError('"[" has no "]"')
    heads, tails = _span(span), expand(tail)
    if len(heads) * len(tails) > _LIMIT:
        raise ValueError(f"the range names more than {_LIMIT} hosts")
    return [f"{head}{one}{other}" for one in heads for other in tails]


def _span(span: str) -> list[str]:
    """The items of `begin:end` or `begin:end:step`; the end is included, leading zeros are kept."""
    first, *others = span.split(":")
    if len(others) not in (1, 2):
        raise ValueError(f'the range "[{span}]" is not [begin:end] or [begin:end:step]')
    last, step = others[0], others[1] if len(others) == 2 else "1"
    first = first or "0"
    if not last:
        raise ValueError(f'the range "[{span}]" has no end')
    if not (step.isdigit() and int(step) > 0):
        raise ValueError(f'the step of the range "[{span}]" is not a whole number above 0')
    if len(first) == len(last) == 1 and first in ascii_letters and last in ascii_letters:
        begin, end = ascii_letters.index(first), ascii_letters.index(last)
        items = list(ascii_letters[begin : end + 1 : int(step)])
    elif first.isdigit() and last.isdigit():
        width = len(first) if len(first) > 1 and first[0] == "0" else 0
        if width and width != len(last):
            raise ValueError(f'the ends of the range "[{span}]" differ in length')
        numbers = range(int(first), int(last) + 1, int(step))
        if len(numbers) > _LIMIT:
            raise ValueError(f"the range names more than {_LIMIT} hosts")
        items = [str(number).zfill(width) for number in numbers]
    else:
        raise ValueError(f'the range "[{span}]" is neither of numbers nor of single letters')
    if not items:
        raise ValueError(f'the range "[{span}]" counts down')
    return items
