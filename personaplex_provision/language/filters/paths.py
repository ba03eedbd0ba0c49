"""Filters on paths. They look at names only, except `realpath`, `expanduser`, `expandvars` and `fileglob`, which
look at the machine this runs on."""

from __future__ import annotations

import glob
import ntpath
import os
from typing import Any


def path_join(paths: Any) -> str:
    """The parts as one path; an absolute part starts over."""
    if isinstance(paths, str):
        return paths
    return str(os.path.join(*[str(one) for one in paths]))


def common_path(paths: Any) -> str:
    """The longest path that all of `paths` start with."""
    if isinstance(paths, str):
        raise TypeError("it takes a list of paths")
    return str(os.path.commonpath(list(paths)))


def file_glob(pattern: str) -> list[str]:
    """The regular files that match, sorted, so that a plan is the same twice."""
    return sorted(one for one in glob.glob(pattern) if os.path.isfile(one))


FILTERS: dict[str, Any] = {
    "basename": os.path.basename,
    "commonpath": common_path,
    "dirname": os.path.dirname,
    "expanduser": os.path.expanduser,
    "expandvars": os.path.expandvars,
    "fileglob": file_glob,
    "normpath": os.path.normpath,
    "path_join": path_join,
    "realpath": os.path.realpath,
    "relpath": os.path.relpath,
    "splitext": os.path.splitext,
    "win_basename": ntpath.basename,
    "win_dirname": ntpath.dirname,
    "win_splitdrive": ntpath.splitdrive,
}
