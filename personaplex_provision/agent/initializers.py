"""The `__init__` of records, compiled, by what each is made of: compiling one takes longer than all else of its class.

Empty as it is written. The engine that travels to a host of the same Python has those of its records in it, and what
the controller keeps of its modules those that were used before.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing costs milliseconds that a start should not pay
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

KNOWN: Dict[Tuple[str, str], Any] = {}
"""File name and text -> code, marshalled where it came along; what is compiled here is added."""
