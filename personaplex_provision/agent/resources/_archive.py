"""Archives: their members as plain data, checked before anything is written. tar (gz, bz2, xz) and zip."""

from __future__ import annotations

import fnmatch
import hashlib
import lzma
import posixpath
import stat
import tarfile
import zipfile
import zlib
from typing import IO, Dict, Iterator, List, Sequence, Union

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import ResourceError

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError)


@dataclass(frozen=True)
class Member:
    """One thing in an archive: `type` is file, directory or link; `path` is relative to where it is unpacked.

    The mode is without set-id bits, which an archive has no business to bring.
    """

    path: str
    type: str
    mode: int
    size: int = 0
    mtime: float = 0.0
    target: str = ""
    source: str = ""


class Archive:
    """An open archive. `name` is what messages call it. Raises ResourceError for what is none, or is broken."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self._open: Union[tarfile.TarFile, zipfile.ZipFile]
        head = file.read(6)
        file.seek(0)
        if head[:4] == b"\x28\xb5\x2f\xfd":
            raise ResourceError(f"{name} is packed with zstd", hint="pack it with xz or gzip: Python cannot read zstd")
        try:
            if head[:2] == b"PK" and zipfile.is_zipfile(file):
                file.seek(0)
                self._open = zipfile.ZipFile(file)
            else:
                file.seek(0)
                self._open = tarfile.open(fileobj=file, mode="r:*")  # noqa: SIM115 (the file is the caller's)
        except _BROKEN:
            raise ResourceError(f"{name} is no tar or zip archive, or is broken") from None

    def members(self, strip: int, include: Sequence[str], exclude: Sequence[str]) -> List[Member]:
        """What would be unpacked, a later member winning over an earlier one of the same path. Raises ResourceError."""
        found: Dict[str, Member] = {}
        try:
            for one in self._tar() if isinstance(self._open, tarfile.TarFile) else self._zip():
                path = self._safe(one.path)
                parts = path.split("/")[strip:] if path != "." else []
                if not parts or not _chosen(path, include, exclude):
                    continue
                found[posixpath.join(*parts)] = Member(
                    posixpath.join(*parts), one.type, one.mode, one.size, one.mtime, one.target, one.source,
                )
        except _BROKEN as error:
            raise self._broken(error) from None
        for one in found.values():
            self._contained(one, found)
        return list(found.values())

    def chunks(self, member: Member) -> Iterator[bytes]:
        """A file's content. Raises ResourceError when the archive is broken there."""
        try:
            source = (
                self._open.extractfile(member.source) if isinstance(self._open, tarfile.TarFile)
                else self._open.open(member.source)
            )
            if source is None:
                raise ResourceError(f"{self.name}: {member.path} has no content")
            with source:
                yield from iter(lambda: source.read(1 << 20), b"")
        except KeyError:
            raise ResourceError(f"{self.name}: {member.path} is a link to what is not in the archive") from None
        except _BROKEN as error:
            raise self._broken(error) from None

    def sha256(self, member: Member) -> str:
        """Digest of a file's content."""
        digest = hashlib.sha256()
        for chunk in self.chunks(member):
            digest.update(chunk)
        return digest.hexdigest()

    def _tar(self) -> Iterator[Member]:
        assert isinstance(self._open, tarfile.TarFile)
        sizes: Dict[str, int] = {}
        for one in self._open:
            mode = one.mode & 0o777
            if one.isreg():
                sizes[one.name] = one.size
                yield Member(one.name, "file", mode, one.size, float(one.mtime), source=one.name)
            elif one.islnk():
                # A hard link is another name of a content that came before.
                yield Member(one.name, "file", mode, sizes.get(one.linkname, 0), float(one.mtime), source=one.linkname)
            elif one.isdir():
                yield Member(one.name, "directory", mode)
            elif one.issym():
                yield Member(one.name, "link", 0o777, target=one.linkname)
            else:
                raise ResourceError(f"{self.name} holds {one.name}, which is a device or a pipe and is not unpacked")

    def _zip(self) -> Iterator[Member]:
        assert isinstance(self._open, zipfile.ZipFile)
        for one in self._open.infolist():
            bits = one.external_attr >> 16
            if one.flag_bits & 1:
                raise ResourceError(f"{self.name} is encrypted")
            if one.is_dir():
                yield Member(one.filename, "directory", bits & 0o777 or 0o755)
            elif stat.S_ISLNK(bits):
                target = self._open.read(one).decode("utf-8", "surrogateescape")
                yield Member(one.filename, "link", 0o777, target=target)
            else:
                yield Member(one.filename, "file", bits & 0o777 or 0o644, one.file_size, source=one.filename)

    def _safe(self, path: str) -> str:
        found = posixpath.normpath(path)
        if posixpath.isabs(found) or found.split("/")[0] == ".." or "\0" in found:
            raise self._escapes(path)
        return found

    def _contained(self, member: Member, found: Dict[str, Member]) -> None:
        """A member must lie below `dest`, through no link of the archive, and a link must point inside."""
        parents = member.path.split("/")[:-1]
        for number in range(1, len(parents) + 1):
            above = found.get("/".join(parents[:number]))
            if above is not None and above.type != "directory":
                raise self._escapes(member.path)
        if member.type == "link":
            target = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), member.target))
            if posixpath.isabs(target) or target.split("/")[0] == "..":
                raise ResourceError(
                    f"{self.name}: the link {member.path} points to {member.target}, outside of where it is unpacked",
                    hint="leave it out with `exclude`",
                )

    def _escapes(self, path: str) -> ResourceError:
        return ResourceError(
            f"{self.name} holds {path}, which would be written outside of where it is unpacked",
            hint="do not trust this archive",
        )

    def _broken(self, error: Exception) -> ResourceError:
        return ResourceError(f"{self.name} is broken: {error}", hint="fetch it again; a checksum would have told")


def _chosen(path: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    def named(patterns: Sequence[str]) -> bool:
        return any(fnmatch.fnmatch(path, one) or path.startswith(one.rstrip("/") + "/") for one in patterns)

    return (not include or named(include)) and not named(exclude)
