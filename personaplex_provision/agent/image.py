"""The image of a path: everything needed to put it back, whole or by its aspects."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import stat
from typing import Any, Collection, Dict, Optional

from personaplex_provision.agent.look import sha256_of, xattrs
from personaplex_provision.agent.store import Making, Store, copy_owner, copy_tree

Image = Dict[str, Any]
"""`{"path", "type": absent|file|link|directory|tree|other, "mode", "uid", "gid", "mtime_ns", "sha256", "size",
"target", "aside", "xattrs", "whole"}`; `whole` tells that undoing an absent path removes a whole tree."""


def capture(path: str, store: Store, whole: bool = False, link: bool = False, content: bool = True) -> Image:
    """The image of what is at `path` now.

    `whole` takes a directory with all it holds (`link`: by hard links); otherwise a directory's image is its own
    mode and owner only. Without `content` that of a file is named and not kept, for changes of mode, owner and times.
    """
    image: Image = {"path": path, "whole": whole}
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return {**image, "type": "absent"}
    except NotADirectoryError:
        return {**image, "type": "absent"}
    image.update(
        mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid,
        mtime_ns=status.st_mtime_ns, xattrs=xattrs(path),
    )
    if stat.S_ISREG(status.st_mode):
        sha256, size = store.keep(path) if content else (sha256_of(path), status.st_size)
        return {**image, "type": "file", "sha256": sha256, "size": size}
    if stat.S_ISLNK(status.st_mode):
        return {**image, "type": "link", "target": os.readlink(path)}
    if not stat.S_ISDIR(status.st_mode):
        return {**image, "type": "other"}
    if not whole:
        return {**image, "type": "directory"}
    aside = store.aside()
    copy_tree(path, aside, link=link)
    return {**image, "type": "tree", "aside": aside}


def spare(path: str) -> str:
    """The name beside `path` under which what replaces it is made."""
    folder, name = os.path.split(path.rstrip("/"))
    return os.path.join(folder or ".", f".{name[:200]}.provision-new")


def restore(image: Image, store: Store, aspects: Optional[Collection[str]] = None) -> str:
    """Puts the path back as it was; returns what had to stay and why, or nothing. Raises OSError.

    With `aspects` only those come back, and the others stay as they are now.
    """
    path, kind = image["path"], image["type"]
    if aspects is not None and not aspects:
        return ""
    store.fault.step()
    if aspects is not None and kind != "absent" and _type(path) == ("directory" if kind == "tree" else kind):
        image = _blended(image, aspects)
        if "content" not in aspects:
            _own(path, image) if kind == "link" else _dress(path, image)
            return ""
    for left in (spare(path), f"{path.rstrip('/')}.provision-undo"):  # what a cut-off write or undo left
        with contextlib.suppress(OSError):
            _remove(left, True)
    if kind == "absent":
        return _remove(path, bool(image.get("whole")))
    if kind == "directory":
        if not os.path.isdir(path) or os.path.islink(path):
            _remove(path, True)
            store.fault.step()
            os.makedirs(path)
        _dress(path, image)
        return ""
    if kind == "tree":
        beside = f"{path.rstrip('/')}.provision-undo"
        copy_tree(image["aside"], beside, link=True)  # on a full disk there may be no room for more
        copy_owner(image["aside"], beside)
        store.fault.step()
        _remove(path, True)
        store.fault.step()
        os.rename(beside, path)
        _dress(path, image)
        return ""
    if kind == "other":
        return f"{path} was neither file, directory nor link: left as it is"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.isdir(path) and not os.path.islink(path):
        _remove(path, True)
    if kind == "file" and _holds(path, image):
        _dress(path, image)  # nothing to copy, which a full disk would not allow
        return ""
    if kind == "file" and not store.has(image["sha256"]):
        if os.path.lexists(path):
            _dress(path, image)
        return f"{path}: only its mode and owner were changed, and it holds something else since: that stays"
    beside = f"{path}.provision-undo"
    if kind == "link":
        os.symlink(image["target"], beside)
        _own(beside, image)
    else:
        with store.open(image["sha256"]) as source, Making(beside, path) as target:
            shutil.copyfileobj(source, target)
            target.sync()
        _dress(beside, image)
    store.fault.step()
    os.replace(beside, path)
    return ""


def _type(path: str) -> str:
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    return {stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFDIR: "directory"}.get(stat.S_IFMT(mode), "other")


def _blended(image: Image, aspects: Collection[str]) -> Image:
    """The image, with what is there now in place of all but these aspects."""
    path, found = image["path"], dict(image)
    status = os.lstat(path)
    here = {"mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid, "xattrs": xattrs(path),
            "mtime_ns": status.st_mtime_ns}
    return {**found, **{name: value for name, value in here.items() if name not in aspects}}


def _holds(path: str, image: Image) -> bool:
    """Whether a file is at the path whose content is that of the image."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size != image["size"]:
            return False
        return sha256_of(path) == str(image["sha256"])
    except OSError:
        return False


def _remove(path: str, whole: bool) -> str:
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(path)
    elif whole:
        shutil.rmtree(path)
    else:
        try:
            os.rmdir(path)
        except OSError:
            held = ", ".join(sorted(os.listdir(path))[:5])
            return f"{path} stays: it holds {held}, which this run did not make"
    return ""


def _own(path: str, image: Image) -> None:
    with contextlib.suppress(PermissionError):
        os.lchown(path, image["uid"], image["gid"])


def _dress(path: str, image: Image) -> None:
    _own(path, image)
    os.chmod(path, image["mode"])
    for name in xattrs(path):
        if name not in image["xattrs"]:
            with contextlib.suppress(OSError):
                os.removexattr(path, name)
    for name, value in image["xattrs"].items():
        with contextlib.suppress(OSError):
            os.setxattr(path, name, base64.b64decode(value))
    os.utime(path, ns=(image["mtime_ns"], image["mtime_ns"]))
