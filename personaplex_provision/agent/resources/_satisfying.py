"""Whether what is installed meets what is required."""

from __future__ import annotations

import os
import re
from typing import Dict, FrozenSet, Iterable, Iterator, List, Optional

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resources._distributions import Distribution, source_digest
from personaplex_provision.agent.resources._http import shown
from personaplex_provision.agent.resources._marker import holds
from personaplex_provision.agent.resources._pep440 import satisfies
from personaplex_provision.agent.resources._requirement import Requirement, parse
from personaplex_provision.agent.row import NamedTuple


class Unmet(NamedTuple):
    """One thing that is not as required: its name, what is there (empty for nothing), what is wanted."""

    name: str
    have: str
    want: str


def label(one: Requirement) -> str:
    """The word a requirement is spoken of by."""
    return one.name or os.path.basename(one.path.rstrip("/")) or shown(one.url)


def wanted(one: Requirement) -> str:
    """What a requirement asks for, in words."""
    if one.path:
        return f"{'editable ' if one.editable else ''}{one.path}"
    return shown(one.url) if one.url else one.specifier or "present"


def unmet(
    host: Host, requirements: Iterable[Requirement], installed: Dict[str, Distribution], environment: Dict[str, str],
) -> List[Unmet]:
    """The requirements that are not met, those that extras bring included."""
    found: List[Unmet] = []
    for one in requirements:
        if not holds(one.marker, environment):
            continue
        have = find(one, installed)
        if have is None or not _meets(host, one, have):
            there = have or installed.get(one.key)
            moved = there is not None and have is not None and bool(one.path)
            found.append(Unmet(label(one), _described(there, moved), wanted(one)))
        elif one.extras:
            extra = set(needs_of(have, environment, one.extras)) - set(needs_of(have, environment, frozenset()))
            found += unmet(host, [parse(text) for text in sorted(extra)], installed, environment)
    return list(dict.fromkeys(found))


def find(one: Requirement, installed: Dict[str, Distribution]) -> Optional[Distribution]:
    """The distribution that a requirement speaks of."""
    if one.name:
        return installed.get(one.key)
    for have in installed.values():
        if one.path and have.path == one.path:
            return have
        if one.url and _same_address(one.url, have):
            return have
    return None


def needs_of(have: Distribution, environment: Dict[str, str], extras: FrozenSet[str]) -> Iterator[str]:
    """What a distribution requires here with some extras, without the markers."""
    for text in have.requires:
        try:
            one = parse(text)
            if holds(one.marker, environment, extras):
                yield text.partition(";")[0].strip()
        except ValueError:
            continue  # metadata of a legacy form, which pip passes over too


def _meets(host: Host, one: Requirement, have: Distribution) -> bool:
    if one.path and one.name:
        there = host.stat(one.path, follow=True).type == "file"
        known = _archive_hash(have)
        same = not known or not there or known == host.digest(one.path).sha256
        return same and not have.editable and satisfies(have.version, one.specifier)
    if one.path:
        if one.editable or have.editable or have.path != one.path:
            return have.editable == one.editable and have.path == one.path
        return have.source != "" and have.source == source_digest(host, one.path)
    if one.url:
        return _same_address(one.url, have) and satisfies(have.version, one.specifier)
    return satisfies(have.version, one.specifier)


def _archive_hash(have: Distribution) -> str:
    info = have.direct.get("archive_info", {})
    hashes = info.get("hashes", {})
    return str(hashes.get("sha256") or str(info.get("hash", "")).replace("sha256=", "", 1))


def _same_address(url: str, have: Distribution) -> bool:
    plain = re.sub(r"^(git|hg|svn|bzr)\+", "", url.partition("#")[0])
    vcs = have.direct.get("vcs_info", {})
    stored = shown(str(have.direct.get("url", "")))
    revision = ""
    if plain != url.partition("#")[0] and "@" in plain.rpartition("/")[2]:
        plain, _, revision = plain.rpartition("@")
    if shown(plain) != stored:
        return False
    return not revision or revision in (vcs.get("requested_revision"), vcs.get("commit_id"))


def _described(have: Optional[Distribution], moved: bool) -> str:
    if have is None:
        return ""
    if moved:
        return f"{have.version} of other content"
    return f"{have.version} from {have.path}" if have.path else have.version
