"""Files with secrets in them: read whole, written whole or not at all, edited in a private place."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from personaplex_provision.errors import Diagnostic, MissingFileError, TaskFailedError, UsageError, suggestion


def read_bytes(path: str) -> bytes:
    """A file's content. Raises MissingFileError."""
    file = Path(path)
    try:
        return file.read_bytes()
    except OSError as error:
        near = suggestion(file.name, [one.name for one in file.parent.iterdir()]) if file.parent.is_dir() else ""
        summary = f"cannot read {path}: {(error.strerror or str(error)).lower()}"
        raise MissingFileError(Diagnostic(summary, hint=near)) from None


def write_private(path: str, data: bytes) -> None:
    """Replaces a file at once; a new one gets mode 0600, one that is there keeps its mode and owner.

    Raises MissingFileError when its directory cannot be written; the file is then as it was.
    """
    # A link stays a link: what it points to is replaced.
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".provision-")
    except OSError as error:
        raise MissingFileError(Diagnostic(f"cannot write {path}: {(error.strerror or '').lower()}")) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if os.path.exists(target):
                old = os.stat(target)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
                if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    _keep_owner(file.fileno(), old)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _keep_owner(handle: int, old: os.stat_result) -> None:
    try:
        os.fchown(handle, old.st_uid, old.st_gid)
    except PermissionError:
        # Only root gives files away; the editor of a shared file becomes its owner, as with any editor.
        pass


def edited(data: bytes, path: str) -> bytes:
    """What the user's editor makes of `data`, in a file that only the user can read and that is always removed.

    Raises UsageError when there is no editor, TaskFailedError when it fails.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    if shutil.which(command[0]) is None:
        raise UsageError(Diagnostic(f"there is no editor {command[0]}", hint="set EDITOR"))
    # XDG_RUNTIME_DIR is memory of this user alone; elsewhere mkdtemp's 0700 has to do.
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    place = runtime if runtime and os.access(runtime, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="provision-vault-", dir=place)
    try:
        # The name's end tells the editor what language it is.
        draft = os.path.join(folder, os.path.basename(path))
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        ended = subprocess.run([*command, draft], check=False)
        if ended.returncode:
            summary = f"the editor ended with {ended.returncode}; {path} is as it was"
            raise TaskFailedError(Diagnostic(summary))
        # Editors may write a new file in place of the old one, so it is opened by name again.
        return Path(draft).read_bytes()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
