"""Contents of files that are too large to be held in memory."""

from __future__ import annotations

import functools
import hashlib
import os
from typing import BinaryIO

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
        """The content of a file, which is read once for its digest. Raises OSError."""
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
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
