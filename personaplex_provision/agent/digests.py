"""SHA-256 without OpenSSL, which takes longer to come to life than many small contents take to digest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Protocol

    class Digest(Protocol):
        """What `hashlib` gives."""

        def update(self, data: bytes, /) -> None: ...
        def hexdigest(self) -> str: ...


LARGE = 1 << 20
"Bytes from which on OpenSSL's is worth its start: it is several times as fast."


def sha256(data: bytes = b"", size: int = 0) -> Digest:
    """A digest object, as `hashlib.sha256` gives; `size` is about how many bytes it is for, more than `data`."""
    make: Any
    if max(size, len(data)) < LARGE and "_hashlib" not in sys.modules:
        try:
            from _sha256 import sha256 as make  # type: ignore[import-not-found, no-redef, unused-ignore]
        except ImportError:
            try:
                from _sha2 import sha256 as make  # type: ignore[import-not-found, no-redef, unused-ignore]
            except ImportError:  # a Python that was built without its own
                from hashlib import sha256 as make
    else:
        from hashlib import sha256 as make
    found: Digest = make(data)
    return found
