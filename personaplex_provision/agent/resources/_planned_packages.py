"""What a plan knows of a virtual environment that its earlier tasks make or change.

`host.declared("venv", path)` is a mapping: `packages` (canonical name, or `file:PATH`, to a specifier, or to `absent`),
`fresh` (made in this plan, so that nothing else is in it), `open` (something was installed with all it requires, so
that more is in it than is known).
"""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from personaplex_provision.agent.resource import Unpredictable
from personaplex_provision.agent.resources._pep440 import satisfies
from personaplex_provision.agent.resources._requirement import Requirement, canonical
from personaplex_provision.agent.resources._satisfying import Unmet, label, wanted

_BROUGHT = frozenset({"pip", "setuptools", "wheel"})
"""What a new virtual environment may hold already."""


def unmet_there(
    planned: Dict[str, Any], requirements: Sequence[Requirement], forbidden: Sequence[str], absent: bool,
) -> List[Unmet]:
    """What will not be as required. Raises Unpredictable where it may be either."""
    packages, fresh, more = planned["packages"], planned.get("fresh", True), planned.get("open", False)
    found: List[Unmet] = []
    doubtful: List[str] = []
    for one in requirements:
        have = packages.get(_key(one))
        if have is None and ((more and one.name) or not fresh or one.key in _BROUGHT):
            doubtful.append(label(one))
        elif have is None or have == "absent":
            found += [] if absent else [Unmet(label(one), "", wanted(one))]
        elif absent:
            found.append(Unmet(label(one), have or "present", "absent"))
        elif one.specifier and one.specifier != have:
            exact = have[2:] if have.startswith("==") and not set(have) & set(",*") else ""
            if not exact:
                doubtful.append(label(one))
            elif not satisfies(exact, one.specifier):
                found.append(Unmet(label(one), exact, wanted(one)))
    for name in forbidden:
        have = packages.get(canonical(name))
        if have not in (None, "absent"):
            found.append(Unmet(name, have or "present", "absent"))
        elif have is None and (more or not fresh):
            doubtful.append(name)
    if doubtful and not found:
        raise Unpredictable(f"an earlier task may bring {doubtful[0]}")
    return found


def after(
    planned: Dict[str, Any], requirements: Sequence[Requirement], forbidden: Sequence[str], absent: bool, alone: bool,
) -> Dict[str, Any]:
    """The declaration once the requirements are there (or gone); `alone`: nothing comes with them."""
    packages = dict(planned["packages"])
    packages.update({_key(one): "absent" if absent else one.specifier for one in requirements})
    packages.update({canonical(one): "absent" for one in forbidden})
    return {**planned, "packages": packages, "open": bool(planned.get("open")) or not (alone or absent)}


def _key(one: Requirement) -> str:
    return one.key if one.name else f"file:{one.path or one.url}"
