"""What is said of the items of a loop."""

from __future__ import annotations

from typing import Any


def label(item: Any) -> str:
    """How an item is called in names and addresses."""
    if isinstance(item, dict):
        for key in ("name", "path", "dest", "key", "src"):
            if key in item and not isinstance(item[key], (dict, list)):
                return str(item[key])
        item = ", ".join(f"{key}={value}" for key, value in item.items())
    text = str(item)
    return text if len(text) <= 60 else text[:57] + "..."


def extended(items: list[Any], number: int) -> dict[str, Any]:
    """`ansible_loop` of one item, as Ansible has it with `extended`."""
    last = len(items) - 1
    return {
        "allitems": items, "index": number + 1, "index0": number, "revindex": last - number + 1,
        "revindex0": last - number, "first": number == 0, "last": number == last, "length": len(items),
        **({"previtem": items[number - 1]} if number else {}),
        **({"nextitem": items[number + 1]} if number < last else {}),
    }
