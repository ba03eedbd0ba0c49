"""What apt-get would do: every package that comes, goes or changes its version, and how much is to be fetched."""

from __future__ import annotations

import fnmatch
import re
import time
from typing import List, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._apt_command import ENVIRONMENT
from personaplex_provision.agent.resources._debian_version import compare
from personaplex_provision.agent.space import human

Step = Tuple[str, str, str]
"""A package (`name`, or `name:arch` of another architecture), its version before and after; empty for not there."""

_STEP = r"(?m)^(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+) )?"
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_READS = ("/etc/apt", "/var/lib/apt/lists")


@dataclass
class Transaction:
    """`steps` in the order of their names; `error` when apt-get refused, in its words.

    `fetch` is what is to be downloaded and `disk` how much more is on the disk afterwards (less when negative), in
    bytes.
    """

    steps: List[Step]
    fetch: int = 0
    disk: int = 0
    error: str = ""

    @property
    def said(self) -> str:
        """`12 packages, 34 MB to download, 120 MB on disk`."""
        found = [f"{len(self.steps)} package{'s' * (len(self.steps) != 1)}"]
        found += [f"{human(self.fetch)} to download"] if self.fetch else []
        found += [f"{human(abs(self.disk))} {'freed' if self.disk < 0 else 'on disk'}"] if self.disk else []
        return ", ".join(found)


def simulate(host: Host, argv: List[str]) -> Transaction:
    """What `apt-get ARGV` would do. Raises Unpredictable while planning when an earlier task changes the sources."""
    quiet = ["-q", "-o", "Debug::NoLocking=1"]
    said = host.query(["apt-get", "-s", *quiet, *argv], reads=_READS, env=ENVIRONMENT, timeout=300)
    if said.rc != 0:
        return Transaction([], error=refusal(said.stderr or said.stdout))
    steps = parse(said.stdout)
    if host.planning:
        # An earlier task of this plan has some of them done already.
        steps = [one for one in steps if _version(host, one[0]) != one[2]]
    if not steps:
        return Transaction([])
    uris = host.query(["apt-get", "-y", *quiet, "--print-uris", *argv], reads=_READS, env=ENVIRONMENT, timeout=300)
    return Transaction(steps, *sizes(uris.stdout))


def parse(text: str) -> List[Step]:
    """The steps of `apt-get -s`'s output."""
    found = {}
    for verb, name, before, after in re.findall(_STEP, text):
        if verb == "Inst":
            found[name] = (name, before, after)
        elif name not in found or not found[name][2]:
            found[name] = (name, before, "")
    return [found[name] for name in sorted(found)]


def sizes(text: str) -> Tuple[int, int]:
    """Bytes to download and bytes more on the disk, from the output of `apt-get --print-uris`."""
    fetch = sum(int(size) for size in re.findall(r"(?m)^'[^']+' \S+ (\d+) ", text))
    disk = re.search(r"After this operation, ([\d.,]+) (\S+) (?:of additional disk|disk space will be freed)", text)
    if disk is None:
        disk = re.search(r"(?:Space needed|Freed space): ([\d.,]+) (\S+)", text)
    if disk is None:
        return fetch, 0
    size = round(float(disk.group(1).replace(",", "")) * _UNITS.get(disk.group(2), 1))
    return fetch, -size if "freed" in disk.group(0).lower() else size


def downgrades(steps: List[Step]) -> List[Step]:
    """The steps after which a package is older than before."""
    return [one for one in steps if one[1] and one[2] and compare(one[2], one[1]) < 0]


def refusal(text: str) -> str:
    """The reason in apt-get's words: its error lines, with the broken dependencies before them."""
    broken = re.findall(r"(?m)^ \S+ : (?:Depends|PreDepends|Conflicts|Breaks).*(?:\n {3,}.*)*", text)
    errors = [line[3:] for line in text.splitlines() if line.startswith("E: ")]
    return "\n".join([*errors, *(one.strip() for one in broken)]) or text.strip()[-500:]


def advice(error: str, fetched: bool) -> str:
    """What helps against a refusal of apt-get's; `fetched` tells whether the package lists are fresh."""
    if not any(words in error for words in ("Unable to locate", "was not found", "no installation candidate")):
        return ""
    if fetched:
        now = time.strftime("%Y-%m-%d %H:%M", time.localtime())
        return f"no source has it, as of {now}: check the name, or add the repository it is in"
    return "say `update_cache: true`, check the name, or add the repository it is in"


def _version(host: Host, name: str) -> str:
    found = host.packages().get(name)
    return found.version if found is not None and found.status == "installed" else ""


def guard(done: Transaction, forbid: List[str], allow_downgrade: bool) -> None:
    """Raises ResourceError for a transaction that would install what is forbidden, or an older version unasked."""
    for name, _, version in done.steps:
        for pattern in forbid:
            if version and fnmatch.fnmatchcase(name.split(":")[0], pattern):
                raise ResourceError(
                    f"refused: {name} {version} would be installed, which the task forbids",
                    f'it matches "{pattern}" in forbid; the transaction has {len(done.steps)} packages',
                    "ask for a package that does not bring it along",
                )
    older = downgrades(done.steps)
    if older and not allow_downgrade:
        name, have, want = older[0]
        raise ResourceError(
            f"refused: {name} would go back from {have} to {want}",
            hint="say `allow_downgrade: true` if that is meant",
        )
