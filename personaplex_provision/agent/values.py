"""The two values that are not JSON: contents by their digest, and secrets by their name."""

from __future__ import annotations

from typing import Any

from personaplex_provision.agent.digests import sha256
from personaplex_provision.agent.record import dataclass


class Secret:
    """An opaque box around a value nobody should see; `reveal()` is the only way in.

    It prints as its name, compares by value, and cannot be turned into JSON by accident.
    """

    __slots__ = ("_value", "name", "parts")

    def __init__(self, value: str, name: str = "secret", parts: tuple[Secret, ...] = ()) -> None:
        self._value = value
        self.name = name
        self.parts = parts
        "The secrets this one was made from; each is as secret alone as it is inside."

    def reveal(self) -> str:
        """The value itself. Every caller is a place to audit."""
        return self._value

    def __repr__(self) -> str:
        return f"(secret {self.name})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("secret", self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a secret is never pickled")


@dataclass(frozen=True)
class Blob:
    """Content by its sha256 and size in bytes; the bytes travel and rest apart from what names them.

    When `secret` is set the content is a secret of that name: neither digest nor bytes are written anywhere.
    """

    sha256: str
    size: int
    secret: str = ""

    @staticmethod
    def of(data: bytes, secret: str = "") -> Blob:
        """The blob that names `data`."""
        return Blob(sha256(data).hexdigest(), len(data), secret)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __str__(self) -> str:
        if self.secret:
            return f"(secret {self.secret})"
        return f"sha256:{self.sha256[:12]} ({self.size} bytes)"
