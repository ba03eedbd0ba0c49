"""The way back from a package transaction: what was there before, kept in the state directory.

An image has the installed versions with their marks, the .deb of each version that goes, a survey of the file system
and the content of small files that no package can bring back; after the transaction, what it made and changed.

Several tasks may share a transaction. Then the image notes which packages each beyond the first answers for, and for
such a part it tells what was there with the parts before it, and without those after. What no package owns and the
scripts made or changed is the first one's to take back, after all others.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
from typing import Any, Dict, List, Sequence, Set

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resources._apt_command import ENVIRONMENT
from personaplex_provision.agent.resources._apt_transaction import Step
from personaplex_provision.agent.resources._repack import repack, room_for
from personaplex_provision.agent.resources._survey import Survey, owned_paths, survey

_STATUS = "/var/lib/dpkg/status"
MARKS = "/var/lib/apt/extended_states"
ARCHIVES = "/var/cache/apt/archives"
_LIMITS = (("/etc/", 4 << 20), ("/usr/local/", 0), ("/usr/", 4 << 20), ("/var/lib/", 1 << 18), ("/var/spool/", 1 << 16))
_TOTAL = 256 << 20
SIZE = 8 << 20
"""Bytes that an image takes besides the .debs, on a usual host: its survey, and what is in /etc."""


def image_name(host: Host) -> str:
    """A name for the packages as they are now, which no other moment has: dpkg writes its status anew each time."""
    seen = [host.stat(path) for path in (_STATUS, MARKS)]
    text = repr([(one.type, one.inode, one.size, one.mtime) for one in seen])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class AptImage:
    """The image of that name in the state directory; of a `part` of its transaction when that is not 0."""

    def __init__(self, host: Host, name: str, part: int = 0) -> None:
        self.host = host
        self.part = part
        self.folder = host.store.path("apt", "images", name)

    def exists(self) -> bool:
        """Whether the image was finished; without it nothing was changed."""
        return os.path.exists(self._path("before.json.gz"))

    def discard(self) -> None:
        """Removes an image that a transaction left which then did not happen."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, steps: List[Step], parts: Sequence[List[str]] = ()) -> List[str]:
        """Takes the image; returns the packages whose present version could not be kept as a .deb.

        `parts` names the packages of each task beyond the first.
        """
        host = self.host
        host.store.directory("apt", "images", os.path.basename(self.folder), "debs")
        going = [(name, before) for name, before, after in steps if before and before != after]
        lost = [name for name, version in going if not self._keep_deb(name, version)]
        found = survey([host.store.root])
        self._keep_files(found)
        now = {"packages": states(host), "marks": marks(host), "survey": found}
        self._write("before", {**now, **({"parts": list(parts)} if parts else {})})
        return lost

    def finish(self) -> None:
        """Notes what the transaction made and changed. Without this note everything new is held to be its work."""
        before: Survey = self._read("before")["survey"]
        found = survey([self.host.store.root])
        made = [path for path in found if path not in before]
        changed = [path for path, look in before.items() if found.get(path) != look]
        self.host.changed()
        note = {"made": made, "changed": changed, "packages": states(self.host), "marks": marks(self.host)}
        self._write("after", note)

    def before(self) -> Dict[str, Any]:
        """`packages` (name: [version, status]), `marks` and `survey` of before."""
        return {**self._read("before"), **(self._with(self.part - 1) if self.part else {})}

    def after(self) -> Dict[str, Any]:
        """`made`, `changed`, `packages` and `marks` of after; of now when the transaction was cut off."""
        if not os.path.exists(self._path("after.json.gz")):
            self.finish()
        return {**self._read("after"), **(self._with(self.part) if self.part else {})}

    def _with(self, part: int) -> Dict[str, Any]:
        """`packages` and `marks` with the parts up to that one, and without those after it."""
        whole, before = AptImage(self.host, os.path.basename(self.folder)).after(), self._read("before")
        later = {name.split(":")[0] for one in before["parts"][part:] for name in one}
        return {
            what: {
                **{key: one for key, one in whole[what].items() if _bare(key) not in later},
                **{key: one for key, one in before[what].items() if _bare(key) in later},
            }
            for what in ("packages", "marks")
        }

    def debs(self) -> Dict[str, str]:
        """The kept .deb files by `name_version`."""
        folder = self._path("debs")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return {"_".join(name.split("_")[:2]).replace("%3a", ":"): os.path.join(folder, name) for name in names}

    def file(self, path: str) -> bytes | None:
        """The kept content of a file, or None."""
        import tarfile

        try:
            with tarfile.open(self._path("files.tar")) as archive:
                member = archive.extractfile(path.lstrip("/"))
                return member.read() if member else None
        except (KeyError, OSError):
            return None

    def _keep_deb(self, name: str, version: str) -> bool:
        bare = name.split(":")[0]
        key = f"{bare}_{version}"
        if key in self.debs():
            return True
        prefix = f"{bare}_{version.replace(':', '%3a')}_"
        folder = self._path("debs")
        try:
            near = [one for one in os.listdir(ARCHIVES) if one.startswith(prefix) and one.endswith(".deb")]
        except OSError:
            near = []
        if near:
            self.host.run(["cp", "-p", os.path.join(ARCHIVES, near[0]), folder])
            return True
        argv = ["apt-get", "-q", "download", f"{name}={version}"]
        if self.host.run(argv, env=ENVIRONMENT, chdir=folder, check=False).rc == 0 and key in self.debs():
            return True
        return room_for([name], folder) and bool(repack(name, folder)) and key in self.debs()

    def _keep_files(self, found: Survey) -> None:
        """The content of small files that belong to no package, and of all of /etc."""
        import tarfile  # here: a plan has no use for it

        owned: Set[str] = owned_paths()
        left = _TOTAL
        self.host.step()
        with tarfile.open(f"{self.folder}/files.tar.part", "w") as archive:
            for path in sorted(found):
                seen = found[path]
                if not stat.S_ISREG(int(seen[0])) or int(seen[3]) > _limit(path) or int(seen[3]) > left:
                    continue
                if path in owned and not path.startswith("/etc/"):
                    continue
                try:
                    with open(path, "rb") as file:
                        data = file.read()
                except OSError:
                    continue
                member = tarfile.TarInfo(path.lstrip("/"))
                member.size = len(data)
                left -= len(data)
                archive.addfile(member, io.BytesIO(data))
        os.replace(f"{self.folder}/files.tar.part", self._path("files.tar"))

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _write(self, name: str, data: Dict[str, Any]) -> None:
        import gzip

        path = self._path(f"{name}.json.gz")
        with open(f"{path}.part", "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed:
                packed.write(json.dumps(data).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.part", path)

    def _read(self, name: str) -> Dict[str, Any]:
        import gzip

        with gzip.open(self._path(f"{name}.json.gz")) as file:
            found: Dict[str, Any] = json.loads(file.read())
        return found


def states(host: Host) -> Dict[str, List[str]]:
    """Version and status of every package that dpkg has something of; one that waits for triggers is installed."""
    found = host.machine.packages()
    return {
        name: [one.version, "installed" if one.status.startswith("triggers-") else one.status]
        for name, one in found.items() if one.status != "not-installed"
    }


def marks(host: Host) -> Dict[str, str]:
    """apt's notes on packages (which were only installed because another one needs them), by name and architecture."""
    try:
        text = host.read_text(MARKS)
    except OSError:
        return {}
    found = {}
    for stanza in text.split("\n\n"):
        lines = [line.split(": ", 1)[-1] for line in stanza.strip().splitlines() if not line.startswith("Auto")]
        if lines:
            found["/".join(lines[:2])] = stanza.strip()
    return found


def _bare(key: str) -> str:
    """The package's name in `name:arch` and `name/arch`."""
    return key.split(":")[0].split("/")[0]


def _limit(path: str) -> int:
    """The size in bytes up to which a file's content is kept."""
    return next((limit for top, limit in _LIMITS if path.startswith(top)), 0)
