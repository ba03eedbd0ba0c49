"""What people write, turned into what a field holds: the conversions users of Ansible expect, and the refusals.

Each function takes one value as it came from YAML or a template and returns a plain one, or raises `Unfit`. Numbers
keep their written form where text is wanted (`1.10`, `0644`); a boolean never becomes text by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.values import Blob, Secret
from personaplex_provision.language.source import Float, Int
from personaplex_provision.planning.filecontent import FileContent

TRUE = frozenset({"yes", "true", "on", "y", "t", "1"})
FALSE = frozenset({"no", "false", "off", "n", "f", "0"})
_SYMBOLIC = re.compile(r"[ugoa]*([-+=]([rwxXst]*|[ugo]))+(,[ugoa]*([-+=]([rwxXst]*|[ugo]))+)*")


class Unfit(ValueError):
    """A value that a field cannot take: why, and in `hint` what to write instead."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.hint = hint


@dataclass
class Stock:
    """What validation takes out of the parameters: contents by sha256, and secrets' values by name."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, FileContent] = field(default_factory=dict)
    "Contents that stay on the disk until they are sent."
    secrets: dict[str, str] = field(default_factory=dict)

    def keep(self, secret: Secret) -> Secret:
        """The secret under a name that no other value has."""
        for part in secret.parts:
            self.keep(part)
        name, number = secret.name, 1
        while self.secrets.setdefault(name, secret.reveal()) != secret.reveal():
            number += 1
            name = f"{secret.name}#{number}"
        return secret if name == secret.name else Secret(secret.reveal(), name, secret.parts)


def text(value: Any, stock: Stock) -> str | Secret:
    """Text; numbers as they were written, secrets stay boxed."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Secret):
        return stock.keep(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong("text", value)
    return str(value)


def secret(value: Any, stock: Stock, name: str) -> Secret:
    """A secret; plain text is boxed under `name`."""
    if isinstance(value, Secret):
        return stock.keep(value)
    plain = text(value, stock)
    assert isinstance(plain, str)
    return stock.keep(Secret(plain, name))


def mode(value: Any, stock: Stock) -> str | Secret:
    """Permission bits: octal as four digits or more, symbolic as written, `preserve`."""
    if isinstance(value, int) and not isinstance(value, bool):
        written = value.text if isinstance(value, Int) else ""
        if not written:
            raise Unfit(f"{int(value)} is a plain number without its octal digits: the mode would be {value:04o}",
                        'give the mode as text, like "0644"')
        if not written.startswith("0") or value < 0:
            raise Unfit(f"YAML reads {written} as a decimal number, so the mode would be {int(value):04o}",
                        f'write "0{written}", with quotes')
        return f"{int(value):04o}"
    found = text(value, stock)
    if isinstance(found, Secret) or found == "preserve" or _SYMBOLIC.fullmatch(found):
        return found
    if re.fullmatch(r"(0o)?[0-7]{1,5}", found):
        return f"{int(found, 8):04o}"
    raise Unfit(f"{quoted(found)} is no mode", 'octal like "0644", symbolic like "u=rw,g=r,o=r", or preserve')


def boolean(value: Any) -> bool:
    """A boolean, from the words YAML 1.1 and Ansible take too."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise _wrong("yes or no", value)


def whole(value: Any) -> int:
    """A whole number, from text and from a float without a fraction too."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+\s*", value):
        return int(value)
    raise _wrong("a whole number", value)


def number(value: Any) -> float:
    """A number, from text too."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass
    raise _wrong("a number", value)


def choice(value: Any, choices: tuple[Any, ...]) -> Any:
    """One of a fixed set; `yes` and `no` unquoted count as the words when the set has them."""
    from personaplex_provision.errors import suggestion

    plain = str(value) if isinstance(value, (str, Int, Float)) else value
    for one in choices:
        if one == plain and isinstance(one, bool) == isinstance(plain, bool):
            return one
        if not isinstance(one, (str, bool)) and str(one) == str(plain):
            return one
    if isinstance(value, bool):
        words = [one for one in choices if isinstance(one, str) and one in (TRUE if value else FALSE)]
        if len(words) == 1:
            return words[0]
    names = ", ".join(str(one) for one in choices)
    raise Unfit(f"expected one of {names}, got {shown(value)}", suggestion(str(plain), [str(one) for one in choices]))


def blob(value: Any, stock: Stock) -> Blob:
    """Content: text in UTF-8, JSON for a list or mapping; the bytes go into the stock."""
    if isinstance(value, Blob):
        return value
    if isinstance(value, FileContent):
        stock.files[value.sha256] = value
        return Blob(value.sha256, value.size)
    if isinstance(value, Secret):
        kept = stock.keep(value)
        return Blob.of(kept.reveal().encode("utf-8", "surrogateescape"), kept.name)
    if isinstance(value, (dict, list)):
        boxed = find_secret(value)
        if boxed is not None:
            return blob(Secret(json.dumps(revealed(value)), boxed.name, (boxed,)), stock)
        value = json.dumps(plain(value, stock))
    data = value if isinstance(value, bytes) else str(text(value, stock)).encode("utf-8", "surrogateescape")
    found = Blob.of(data)
    stock.blobs[found.sha256] = data
    return found


def listing(value: Any, handler: Callable[[Any], Any], of_text: bool) -> Any:
    """A list; a single value counts as a list of one, and text is split at its commas."""
    if isinstance(value, (list, tuple)):
        return handler(list(value))
    if isinstance(value, str) and of_text:
        return handler([part.strip() for part in value.split(",") if part.strip()])
    if isinstance(value, (str, dict)) or value is None:
        raise _wrong("a list", value, "each item of a list starts with `- `")
    return handler([value])


def mapping(value: Any, handler: Callable[[Any], Any]) -> Any:
    """A mapping whose keys are text."""
    if not isinstance(value, dict):
        raise _wrong("a mapping", value, "write `key: value` lines below it")
    return handler({str(key): item for key, item in value.items()})


def plain(value: Any, stock: Stock) -> Any:
    """Any value as JSON has it, secrets boxed."""
    if isinstance(value, dict):
        return {str(key): plain(item, stock) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, stock) for item in value]
    if isinstance(value, Secret):
        return stock.keep(value)
    if value is None or isinstance(value, (bool, Blob)):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    raise _wrong("a value that JSON has", value)


def find_secret(value: Any) -> Secret | None:
    """The first secret inside `value`."""
    if isinstance(value, Secret):
        return value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for item in items:
        found = find_secret(item)
        if found is not None:
            return found
    return None


def revealed(value: Any) -> Any:
    """`value` with its secrets opened. Every caller is a place to audit."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {str(key): revealed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [revealed(item) for item in value]
    return value


def quoted(word: str) -> str:
    """Text as messages show it, cut when long."""
    line = word if len(word) <= 60 else word[:57] + "…"
    return json.dumps(line, ensure_ascii=False)


def shown(value: Any) -> str:
    """A value as messages speak of it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {'yes' if value else 'no'}"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (dict, list, tuple)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value)


def _wrong(wanted: str, value: Any, hint: str = "") -> Unfit:
    if wanted == "text" and isinstance(value, bool):
        hint = "quote it to have it as text"
    return Unfit(f"expected {wanted}, got {shown(value)}", hint)
