"""Requirements of Python packages as PEP 508 and pip have them: names, extras, specifiers, paths, addresses."""

from __future__ import annotations

import os
import re
from typing import FrozenSet, List, Optional, Tuple

from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resources._pep440 import clauses

_NAMED = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[(?P<extras>[^\]]*)\])?\s*"
    r"(?:@\s*(?P<url>\S+)|\(?(?P<spec>[^;@()]*)\)?)\s*(?:;(?P<marker>.*))?\s*",
    re.DOTALL,
)
_WHEEL = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(?:-\d[^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
_SDIST = re.compile(r"(?P<name>.+)-(?P<version>\d[^-]*?)\.(?:tar\.(?:gz|bz2|xz)|tgz|zip)")


@dataclass(frozen=True)
class Requirement:
    """One thing to install. Exactly one of `name`, `path` (a local directory or archive) and `url` says what; an
    archive and an `name @ url` have their name too."""

    text: str
    name: str = ""
    extras: FrozenSet[str] = field(default_factory=frozenset)
    specifier: str = ""
    marker: str = ""
    path: str = ""
    url: str = ""
    editable: bool = False

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return canonical(self.name)


def canonical(name: str) -> str:
    """A distribution's name in the one form of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(text: str, base: str = "/", editable: bool = False) -> Requirement:
    """The requirement of a text; paths are taken from the directory `base`. Raises ValueError."""
    text = text.strip()
    if text.startswith(("-e ", "--editable ", "--editable=")):
        return parse(re.sub(r"^(-e|--editable)[ =]\s*", "", text), base, editable=True)
    if "://" in text.split("@")[0] or re.match(r"(git|hg|svn|bzr)\+", text):
        return _addressed(text, editable)
    if text.startswith((".", "/", "~")) or "/" in text.split(";")[0].split("@")[0].split("[")[0]:
        return _local(text, base, editable)
    if "@" not in text and _archive(text.split("[")[0]) is not None:
        return _local(text, base, editable)
    found = _NAMED.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is no requirement like `package`, `package==1.2` or `./directory`')
    spec = (found["spec"] or "").strip()
    clauses(spec)
    extras = frozenset(one.strip().lower() for one in (found["extras"] or "").split(",") if one.strip())
    url = found["url"] or ""
    path = url[len("file://") :] if url.startswith("file://") else ""
    marker = (found["marker"] or "").strip()
    return Requirement(text, found["name"], extras, spec, marker, path, "" if path else url, editable)


def read_lines(text: str) -> Tuple[List[str], List[Tuple[str, str]]]:
    """The requirements of a requirements file, and the other files it names as `(option, path)`."""
    wanted, others = [], []
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not line:
            continue
        found = re.match(r"(-r|--requirement|-c|--constraint)[ =]?\s*(\S+)", line)
        if found:
            others.append((found[1].lstrip("-")[0], found[2]))
        elif not line.startswith("-") or line.startswith(("-e", "--editable")):
            wanted.append(re.sub(r"\s+--(hash|config-settings?|global-option)[= ].*$", "", line))
    return wanted, others


def _archive(text: str) -> Optional[Tuple[str, str]]:
    for pattern in (_WHEEL, _SDIST):
        found = pattern.fullmatch(os.path.basename(text))
        if found:
            return found["name"], found["version"]
    return None


def _local(text: str, base: str, editable: bool) -> Requirement:
    words, _, marker = text.partition(";")
    found = re.fullmatch(r"(.*?)(?:\[([^\]]*)\])?\s*", words.strip())
    assert found is not None
    extras = frozenset(one.strip().lower() for one in (found[2] or "").split(",") if one.strip())
    path = os.path.normpath(os.path.join(base, found[1]))
    name, version = _archive(path) or ("", "")
    return Requirement(text, name, extras, f"=={version}" if version else "", marker.strip(), path, "", editable)


def _addressed(text: str, editable: bool) -> Requirement:
    url = text.split(" ;")[0].strip()
    egg = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", url)
    if url.startswith("file://"):
        path = os.path.normpath(url[len("file://") :].partition("#")[0])
        name, version = _archive(path) or (egg[1] if egg else "", "")
        return Requirement(text, name, frozenset(), f"=={version}" if version else "", "", path, "", editable)
    name, version = _archive(url.partition("#")[0]) or (egg[1] if egg else "", "")
    return Requirement(text, name, frozenset(), f"=={version}" if version else "", "", "", url, editable)
