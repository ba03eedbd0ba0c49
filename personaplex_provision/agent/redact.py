"""The second net: secrets' values taken out of any text on its way to a log, a journal, an event or a screen."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, Set

from personaplex_provision.agent.values import Secret

SHORTEST = 4
"""Values shorter than this are left alone: they would blot out half of any text."""


class Redactor:
    """Replaces what `values` hold, and the usual encodings of it, by `(secret NAME)`."""

    def __init__(self, values: Iterable[Secret] = ()) -> None:
        self._names: Dict[str, str] = {}
        for secret in values:
            value = secret.reveal()
            # A multi-line value (a key) is often shown line by line.
            for part in {value, value.strip(), *value.splitlines()}:
                for form in _forms(part):
                    self._names.setdefault(form, secret.name)
        # The longest first, so that no part of a longer value stays behind.
        found = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(form) for form in found)) if found else None

    def text(self, text: str) -> str:
        """`text` with every secret replaced by its name."""
        if self._pattern is None or not text:
            return text
        return self._pattern.sub(lambda match: f"(secret {self._names[match.group()]})", text)

    def json(self, value: Any) -> Any:
        """JSON-able data with every text in it redacted, keys too; a Secret becomes its name, a number stays."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Secret):
            return f"(secret {value.name})"
        if isinstance(value, dict):
            return {self.json(key) if isinstance(key, str) else key: self.json(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.json(item) for item in value]
        return value


def _forms(value: str) -> Set[str]:
    """The value as it may appear: plain, escaped for JSON, Python, shells and URLs, and inside base64."""
    if len(value.strip()) < SHORTEST:
        return set()
    # Here: most plans hold no secret, and starting should not pay for what they need.
    import shlex
    from urllib.parse import quote, quote_plus

    data = value.encode("utf-8", "surrogateescape")
    found = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        repr(data)[2:-1],
        # The inside of a shell quotation: the outer quotes may belong to a longer word.
        shlex.quote(value).strip("'"),
        value.replace("'", "'\"'\"'"),
        value.replace("'", "'\\''"),
        quote(data, safe=""),
        quote(data),
        quote_plus(data),
        data.hex(),
    }
    found |= {re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), form) for form in found if "%" in form}
    for shift in range(3):
        found |= _base64_core(data, shift)
    return {form for form in found if len(form) >= SHORTEST}


def _base64_core(data: bytes, shift: int) -> Set[str]:
    """The characters of base64 that depend on `data` alone when `shift` bytes stand before it."""
    import base64

    encoded = base64.b64encode(b"\0" * shift + data).decode("ascii")
    first = (0, 2, 3)[shift]
    whole = (shift + len(data)) * 8 // 6
    core = encoded[first:whole]
    # Under four characters of core would match by chance.
    if len(core) < SHORTEST:
        return set()
    return {core, core.replace("+", "-").replace("/", "_")}
