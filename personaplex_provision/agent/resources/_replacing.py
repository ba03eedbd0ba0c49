"""What the kinds that replace a file's content share: checking it first, keeping a copy, telling its sums."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
import time
from typing import Any, Dict, Iterator, List, Optional, Union

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.values import Blob

_SHOWN = 256 * 1024
"""Files above this many bytes are not shown as text."""
_SUMMED = 16 << 20
"""Files above this many bytes get no sums in the result."""


def check_validation(command: Optional[str]) -> Iterator[str]:
    """What is wrong with a `validate` command."""
    if command is None:
        return
    try:
        words = shlex.split(command)
    except ValueError as error:
        yield f"validation: the command cannot be split into words: {error}"
        return
    if not any("%s" in one for one in words):
        yield "validation needs a %s where the path of the new content goes"


def validate_content(host: Host, command: Optional[str], data: Union[bytes, Blob]) -> None:
    """Runs a check over new content in a file of its own. Raises ResourceError when the check refuses it.

    Nothing happens while planning: the program may not be there yet.
    """
    if command is None or host.planning:
        return
    handle, path = tempfile.mkstemp(prefix="provision-", suffix=".new")
    try:
        with open(handle, "wb") as file:
            file.write(data if isinstance(data, bytes) else host.blob(data))
        argv: List[str] = [one.replace("%s", path) for one in shlex.split(command)]
        found = host.query(argv)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    if found.rc != 0:
        said = (found.stderr.strip() or found.stdout.strip()).replace(path, "the new content")
        raise ResourceError(
            f"{argv[0]} refused the new content, so nothing was written", said,
            result={"rc": found.rc, "stdout": found.stdout, "stderr": found.stderr},
        )


def keep_copy(host: Host, path: str) -> str:
    """Puts a dated copy beside a file, as Ansible names it; returns the copy's path."""
    entry = host.stat(path)
    copy = f"{path}.{os.getpid()}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~"
    host.write(copy, host.read(path), mode=entry.mode, uid=entry.uid, gid=entry.gid)
    return copy


def readable(data: bytes) -> Optional[str]:
    """The text that `data` is, None when it is something else or too long to show."""
    if len(data) > _SHOWN or b"\0" in data:
        return None
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    return None


def text_at(host: Host, path: str) -> Optional[str]:
    """The text in a file, empty when there is none, None when it cannot be shown."""
    entry = host.stat(path, follow=True)
    if entry.type != "file":
        return ""
    return readable(host.read(path)) if entry.size <= _SHOWN else None


def sums(host: Host, path: str) -> Dict[str, Any]:
    """`checksum` (sha1) and `md5sum` of a file, as Ansible's results have them."""
    entry = host.stat(path, follow=True)
    if entry.type != "file" or entry.size > _SUMMED:
        return {}
    data = host.read(path)
    found = {"checksum": hashlib.sha1(data).hexdigest()}
    with contextlib.suppress(ValueError):  # md5 is not there in FIPS mode
        found["md5sum"] = hashlib.md5(data).hexdigest()
    return found
