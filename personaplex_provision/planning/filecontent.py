"""Contents of files that are too large to be held in memory."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import BinaryIO

from personaplex_provision import cache
from personaplex_provision.agent.known import Known
from personaplex_provision.agent.record import dataclass

LARGE = 1 << 20
"Bytes from which a file is read when it is sent, and not before."


@dataclass(frozen=True)
class FileContent:
    """The content that a file had when it was looked at."""

    path: str
    sha256: str
    size: int
    changed: int
    "Its modification time, in nanoseconds."

    @staticmethod
    def of(path: str) -> FileContent:
        """The content of a file, which is read for its digest unless that is known. Raises OSError."""
        status = os.stat(path)
        digest = _digest(path, status.st_size, status.st_mtime_ns)
        return FileContent(path, digest, status.st_size, status.st_mtime_ns)

    def open(self, start: int = 0) -> BinaryIO:
        """The file, to be read from `start`. Raises OSError when it is not as it was."""
        file = open(self.path, "rb")  # noqa: SIM115  (handed on)
        status = os.fstat(file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.size, self.changed):
            file.close()
            raise OSError(f"{self.path} was changed during the run")
        file.seek(start)
        return file


@functools.lru_cache(maxsize=256)
def _digest(path: str, _size: int, _changed: int) -> str:
    known = _known(str(cache.directory()))
    found, _ = known.digest(path)
    with contextlib.suppress(OSError):  # a cache that cannot be written is no error
        os.makedirs(cache.directory(), mode=0o700, exist_ok=True)
        known.save()
    return found


@functools.lru_cache(maxsize=1)
def _known(folder: str) -> Known:
    return Known(os.path.join(folder, "known.json"))
