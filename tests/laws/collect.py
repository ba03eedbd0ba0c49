"""All cases, from the files of `cases/`; a kind without one is found missing."""

from __future__ import annotations

import importlib
import pkgutil

from tests.laws import cases as package
from tests.laws.case import Case


def cases() -> list[Case]:
    """Every case of every kind."""
    found: list[Case] = []
    for info in pkgutil.iter_modules(package.__path__):
        found += importlib.import_module(f"{package.__name__}.{info.name}").CASES
    return found
