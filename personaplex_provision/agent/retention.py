"""Which runs are kept, and dropping the others with what only they need.

Images of what was there before are shared: a blob, a tree, an image of packages is needed as long as the journal of
any run that is left names it. A run goes in one step, by being renamed; only then is swept what no journal names, so
that a sweep cut off anywhere loses nothing, and the next one ends it. What was fetched goes with the last run that was
there when it came.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import time
from typing import Any, Dict, List, Optional, Set, Tuple

from personaplex_provision.agent import history, recovery
from personaplex_provision.agent import journal as journals
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.store import Store

_KEPT = (("blobs",), ("trees",), ("apt", "images"))
"""Folders of the state directory whose entries journals name."""
_FETCHED = (("downloads",), ("apt", "fetched"))
"""Folders of what was fetched. No journal names it: it goes once every run that is left began after it came."""
_NAME = re.compile(rb"[0-9a-f]{16,64}")
_GONE = ".gone-"
"""Before the name of a run's folder that is being removed."""
_FRESH = 3600.0
"""Seconds for which a file that is still being written is left alone."""


@dataclass
class Kept:
    """One recorded run: what it needs, and what dropping it (and all before it) gives back."""

    run: str
    size: int = 0
    "Bytes that nothing newer needs."
    about: Dict[str, Any] = field(default_factory=dict)
    "As `history.runs` tells of it; empty for a run without a readable journal."
    why: str = ""
    "Why it stays whatever is asked for."

    @property
    def lost(self) -> bool:
        """Whether something can still be taken back now, and could not once the run is gone."""
        return bool(self.about.get("changed")) and not self.about.get("undone")

    def as_json(self) -> Dict[str, Any]:
        """For the controller."""
        told = {name: self.about.get(name) for name in ("ts", "who", "purpose", "playbook", "changed", "outcome")}
        return {"run": self.run, "size": self.size, "lost": self.lost, "why": self.why, **told}


def kept(store: Store) -> List[Kept]:
    """Every run recorded here, oldest first."""
    about = {one["run"]: one for one in history.runs(store)}
    found = [Kept(run, _measure(store.path("runs", run)), about.get(run, {})) for run in store.runs()]
    claimed: Set[str] = set()
    for one in reversed(found):  # what several runs need goes with the newest of them
        for name in _named(store, one.run) - claimed:
            paths = [store.path(*folder, name) for folder in _KEPT]
            one.size += sum(_measure(path) for path in paths if os.path.lexists(path))
            claimed.add(name)
    _protect(store, found)
    return found


def choose(
    runs: List[Kept], keep: Optional[int] = None, older_than: Optional[float] = None, max_size: Optional[int] = None,
) -> List[Kept]:
    """The runs that go: all but the newest `keep` that are also older than `older_than` seconds (where either is
    given), and the oldest until the rest takes at most `max_size` bytes."""
    going: List[Kept] = []
    if keep is not None or older_than is not None:
        old = runs[: max(len(runs) - (keep or 0), 0)]
        before = time.time() - (older_than or 0.0)
        going = [one for one in old if not one.why and _ended(one) <= before]
    if max_size is not None:
        left = sum(one.size for one in runs if one not in going)
        for one in runs:
            if left > max_size and one not in going and not one.why:
                going.append(one)
                left -= one.size
    return [one for one in runs if one in going]


def drop(store: Store, runs: List[str]) -> int:
    """Drops runs and all that no other run needs; returns how many bytes that gave back. The lease must be held."""
    folder = store.path("runs")
    for run in runs:
        store.fault.step()
        os.rename(os.path.join(folder, run), os.path.join(folder, _GONE + run))
    if runs:
        journals.sync_directory(folder)  # before anything that they name is removed
    return sweep(store)


def sweep(store: Store) -> int:
    """Removes what no journal names, what a sweep before left too; returns the bytes."""
    needed: Set[str] = set()
    for run in store.runs():
        needed |= _named(store, run)
    freed = 0
    for folder in _KEPT:
        for name in _list(store.path(*folder)):
            path = store.path(*folder, name)
            if name not in needed and not _being_written(path, name):
                freed += _remove(store, path)
    began = min((_began(store, run) for run in store.runs()), default=math.inf)
    for folder in _FETCHED:
        for path in [store.path(*folder, name) for name in _list(store.path(*folder))]:
            if _modified(path) < began:
                freed += _remove(store, path)
    for name in _list(store.path("runs")):
        if name.startswith(_GONE):
            freed += _remove(store, store.path("runs", name))
    return freed


def left(store: Store) -> bool:
    """Whether dropping runs was cut off."""
    return any(name.startswith(_GONE) for name in _list(store.path("runs")))


def _protect(store: Store, runs: List[Kept]) -> None:
    """Notes why some runs stay: without them a crash would not be put right, a handler forgotten."""
    for one in runs:
        if one.about.get("outcome") == "unfinished":
            one.why = "it did not come to its end: the next run puts right what it left"
    if not runs:
        return
    last = runs[-1]
    with contextlib.suppress(OSError):
        if not last.why and recovery.owed(journals.read(store, last.run)):
            last.why = "handlers are owed since"
    if last.about.get("outcome") not in ("ok", "refused") and last.about.get("targets"):
        for one in runs:
            if one.run in last.about["targets"]:
                one.why = one.why or "a rollback of it did not come to its end"


def _named(store: Store, run: str) -> Set[str]:
    """Every name in a run's journal that may be one of something kept, in torn lines too: rather too many."""
    try:
        with open(store.path("runs", run, "journal.jsonl"), "rb") as file:
            return {name.decode() for line in file for name in _NAME.findall(line)}
    except OSError:
        return set()


def _began(store: Store, run: str) -> float:
    """When the run began; ages ago where its journal does not say."""
    try:
        return float(journals.read(store, run)[0]["ts"])
    except (OSError, LookupError, ValueError):
        return 0.0


def _modified(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return math.inf


def _ended(one: Kept) -> float:
    return float(one.about.get("ended") or one.about.get("ts") or 0.0)


def _being_written(path: str, name: str) -> bool:
    try:
        return name.startswith(".new-") and time.time() - os.lstat(path).st_mtime < _FRESH
    except OSError:
        return False


def _remove(store: Store, path: str) -> int:
    store.fault.step()
    size = _measure(path)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            os.unlink(path)
    return 0 if os.path.lexists(path) else size


def _measure(path: str) -> int:
    """Bytes on the disk that removing a file or tree gives back: what has another name elsewhere stays."""
    seen: Dict[Tuple[int, int], List[int]] = {}
    todo = [path]
    size = 0
    while todo:
        at = todo.pop()
        try:
            status = os.lstat(at)
            if os.path.isdir(at) and not os.path.islink(at):
                todo += [os.path.join(at, name) for name in os.listdir(at)]
        except OSError:
            continue
        if status.st_nlink == 1 or os.path.isdir(at):
            size += status.st_blocks * 512
            continue
        names = seen.setdefault((status.st_dev, status.st_ino), [0, status.st_nlink, status.st_blocks * 512])
        names[0] += 1
    return size + sum(blocks for names, links, blocks in seen.values() if names == links)


def _list(path: str) -> List[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
