"""Versions of Python packages and specifiers over them, as PEP 440 has them."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Tuple

from personaplex_provision.agent.row import NamedTuple

_VERSION = re.compile(
    r"""\s*v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)
    (?P<pre>[-_.]?(?P<pre_l>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d*))?
    (?P<post>-(?P<post_n1>\d+)|[-_.]?(?P<post_l>post|rev|r)[-_.]?(?P<post_n2>\d*))?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_n>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_LETTERS = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_CLAUSE = re.compile(r"\s*(===|~=|==|!=|<=|>=|<|>)\s*([^\s,;]+)\s*")
_LAST = (1 << 62,)


class Version(NamedTuple):
    """The parts of a version; compare `key`, which is in the order of PEP 440."""

    epoch: int
    release: Tuple[int, ...]
    pre: Optional[Tuple[str, int]]
    post: Optional[int]
    dev: Optional[int]
    local: Tuple[Any, ...]

    @property
    def key(self) -> Any:
        """What orders versions."""
        release = self.release
        while len(release) > 1 and release[-1] == 0:
            release = release[:-1]
        if self.pre is not None:
            pre: Any = (0, *self.pre)
        else:
            only_dev = self.post is None and self.dev is not None
            pre = (-1,) if only_dev else (1,)
        post = -1 if self.post is None else self.post
        dev = _LAST if self.dev is None else (self.dev,)
        local = tuple((1, one, "") if isinstance(one, int) else (0, 0, one) for one in self.local)
        return (self.epoch, release, pre, post, dev, (1, local) if self.local else (0, ()))

    @property
    def public(self) -> Version:
        """Without the local part."""
        return self._replace(local=())

    @property
    def base(self) -> Any:
        """Epoch and release alone, without zeros at the end."""
        return self.key[:2]

    @property
    def unfinished(self) -> bool:
        """Whether it is a pre-release or a development release."""
        return self.pre is not None or self.dev is not None


def parse_version(text: str) -> Optional[Version]:
    """The version, None for a text that is none."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    letter = (found["pre_l"] or "").lower()
    pre = (_LETTERS.get(letter, letter), int(found["pre_n"] or 0)) if letter else None
    post = int(found["post_n1"] or found["post_n2"] or 0) if found["post"] else None
    dev = int(found["dev_n"] or 0) if found["dev"] else None
    words = re.split(r"[-_.]", (found["local"] or "").lower())
    local = tuple(int(one) if one.isdigit() else one for one in words if one)
    release = tuple(int(one) for one in found["release"].split("."))
    return Version(int(found["epoch"] or 0), release, pre, post, dev, local)


def satisfies(version: str, specifier: str) -> bool:
    """Whether an installed version meets all clauses of a specifier; pre-releases count, since it is installed."""
    return all(_meets(version, operator, wanted) for operator, wanted in clauses(specifier))


def clauses(specifier: str) -> List[Tuple[str, str]]:
    """The clauses of `>=1,<2`. Raises ValueError for what is no specifier."""
    found = []
    for one in specifier.split(","):
        if not one.strip():
            continue
        match = _CLAUSE.fullmatch(one)
        legal = match and (match[1] == "===" or parse_version(match[2][:-2] if match[2].endswith(".*") else match[2]))
        if match is None or not legal:
            raise ValueError(f"{specifier.strip()} is no version specifier")
        found.append((match[1], match[2]))
    return found


def _meets(have: str, operator: str, wanted: str) -> bool:
    if operator == "===":
        return have.strip().lower() == wanted.strip().lower()
    version = parse_version(have)
    if version is None:
        return False
    if operator in ("==", "!=") and wanted.endswith(".*"):
        return _begins(version, wanted[:-2]) == (operator == "==")
    other = parse_version(wanted)
    if other is None:
        return False
    if operator in ("==", "!="):
        same = bool((version if other.local else version.public).key == other.key)
        return same == (operator == "==")
    if operator == "~=":
        stem = f"{other.epoch}!" + ".".join(map(str, other.release[:-1]))
        return version.public.key >= other.key and _begins(version, stem)
    if operator == "<=":
        return bool(version.public.key <= other.key)
    if operator == ">=":
        return bool(version.public.key >= other.key)
    if operator == "<":
        # A pre-release of the bound itself does not count as lower.
        if not other.unfinished and version.unfinished and version.base == other.base and version.post == other.post:
            return False
        return bool(version.key < other.key)
    later = version.post is not None and version.base == other.base and version.pre == other.pre
    # A post-release of the bound itself does not count as higher; a development version has none of its own.
    if later and other.post is None and other.dev is None:
        return False
    return bool(version.key > other.key) and not (version.local and version.public.key == other.key)


def _begins(version: Version, prefix: str) -> bool:
    other = parse_version(prefix)
    if other is None or version.epoch != other.epoch:
        return False
    size = len(other.release)
    release = version.release + (0,) * (size - len(version.release))
    if release[:size] != other.release:
        return False
    return other.pre is None or (version.pre == other.pre and (other.post is None or version.post == other.post))
