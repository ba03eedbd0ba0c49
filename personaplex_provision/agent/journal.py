"""The journal of a run: one JSON object a line, each with a checksum, written before the thing it speaks of.

Records: `run_start`, `intent` (what is about to be changed and what was there), `image` (a path before it is
touched), `task_end`, `handler_owed`, `handler_done`, `reverted`, `run_end`; and the events of interface.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import zlib
from typing import Any, Callable, Dict, Iterator, List, Optional

from personaplex_provision.agent.store import Store
from personaplex_provision.agent.texts import Texts

Record = Dict[str, Any]
_TEXT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode

_BEFORE = ("run_start", "intent", "image")
"Records that must be on the disk before what they speak of happens."


class Journal:
    """Appends records to `runs/<run>/journal.jsonl`; safe to share between threads."""

    def __init__(self, store: Store, run: str, clean: Callable[[Record], Record] = lambda record: record) -> None:
        self.run = run
        self.store = store
        self._clean = clean
        folder = store.directory("runs", run)
        self.path = os.path.join(folder, "journal.jsonl")
        self.texts = Texts(store, run)
        "The texts that the run leaves."
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, whole_lines(self.path))
        self.count = _lines(self.path)
        "Records written so far; the next one has the number after it."
        self._telling = threading.RLock()
        self._listeners: List[Callable[[Record, int], None]] = []
        self.broken: Optional[OSError] = None
        "Why records are no longer kept, if so."
        sync_directory(folder)

    def listen(self, listener: Callable[[Record, int], None]) -> None:
        """Calls `listener` with every record and its number (0: it was not kept) after it was written, in order."""
        self._listeners.append(listener)

    def standing(self) -> threading.RLock:
        """While this is held nothing is written: what was read from the file and what is told next fit together."""
        return self._telling

    def write(self, type_: str, /, sync: bool = False, **fields: Any) -> Record:
        """Appends a record; with `sync` it is on the disk when this returns.

        Once a record could not be written nothing more is: what must be on the disk before a change raises OSError,
        the rest is only told, and the run stays open, so that the next one finds out how far it came.
        """
        record = self._clean({"type": type_, "ts": round(time.time(), 3), **fields})
        self._write([record], sync)
        return record

    def images(self, task: str, taken: List[Record]) -> None:
        """Appends the images of paths that a task is about to change; they are on the disk when this returns.

        Without any only what was written so far is, before a command runs. Raises as `write`.
        """
        now = round(time.time(), 3)
        some: List[Record] = [{"image": one} for one in taken] or [{}]
        self._write([self._clean({"type": "image", "ts": now, "task": task, **one}) for one in some], True)

    def _write(self, records: List[Record], sync: bool) -> None:
        self.store.fault.step()
        with self._telling:
            told = [(one, 0) for one in records]
            try:
                if self.broken is not None:
                    raise self.broken
                self._append(b"".join([encode(one) for one in records]), sync)
                told = [(one, number) for number, one in enumerate(records, self.count + 1)]
                self.count += len(records)
            except OSError as error:
                if self.broken is None:
                    told.insert(0, (_unwritten(error), 0))
                self.broken = error
                if records[0]["type"] in _BEFORE:
                    raise
            for one, number in told:
                for listener in self._listeners:
                    listener(one, number)

    def _append(self, line: bytes, sync: bool) -> None:
        written = 0
        try:
            while written < len(line):
                written += os.write(self._fd, line[written:] if written else line)
            if sync:
                os.fdatasync(self._fd)
        except OSError as error:
            with contextlib.suppress(OSError):  # a torn line would hide what follows it
                os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            error.filename = error.filename or self.path
            raise

    def close(self) -> None:
        """Everything written is on the disk afterwards."""
        os.fsync(self._fd)
        os.close(self._fd)


def _unwritten(error: OSError) -> Record:
    from personaplex_provision.agent.step import hint_for, plain

    return {"type": "diagnostic", "severity": "error", "summary": plain(error), "hint": hint_for(error),
            "detail": "the journal cannot be written: nothing more is changed"}


def encode(record: Record) -> bytes:
    """A record as a line: eight hex digits of CRC-32, a space, JSON."""
    body = _TEXT(record).encode("utf-8", "surrogateescape")
    return b"%08x " % zlib.crc32(body) + body + b"\n"


def read(store: Store, run: str) -> List[Record]:
    """The records of a run, oldest first; a torn or damaged tail ends the list. Raises FileNotFoundError."""
    return list(_records(store.path("runs", run, "journal.jsonl")))


def skim(store: Store, run: str, *words: bytes) -> List[Record]:
    """The first and the last record of a run, and those in whose line one of `words` stands; a fraction of `read`.

    A torn or damaged tail ends the list here too. Raises FileNotFoundError.
    """
    found: List[bytes] = []
    last = b""
    with open(store.path("runs", run, "journal.jsonl"), "rb") as file:
        for line in file:
            if not _sound(line):
                break
            if not last or any(word in line for word in words):
                found.append(line)
            last = line
    if found and found[-1] is not last:
        found.append(last)
    return [record for record in map(decode, found) if record is not None]


def whole_lines(path: str) -> int:
    """How many bytes of a journal are good; what a power cut tore off behind them is none."""
    good = 0
    with open(path, "rb") as file:
        for line in file:
            if decode(line) is None:
                break
            good += len(line)
    return good


def _lines(path: str) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _records(path: str) -> Iterator[Record]:
    with open(path, "rb") as file:
        for line in file:
            record = decode(line)
            if record is None:
                return
            yield record


def decode(line: bytes) -> Optional[Record]:
    """The record of a line, or None when the line is torn or its checksum wrong."""
    if not _sound(line):
        return None
    try:
        found = json.loads(line[9:-1].decode("utf-8", "surrogateescape"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _sound(line: bytes) -> bool:
    if not line.endswith(b"\n") or len(line) < 10:
        return False
    try:
        return int(line[:8], 16) == zlib.crc32(line[9:-1])
    except ValueError:
        return False


def sync_directory(path: str) -> None:
    """Puts a directory's names on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
