"""`provision doc [KIND]`: the reference of one kind, or the list of all."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("doc", help="show the reference of a kind, or list all kinds")
    parser.add_argument("kind", nargs="?", help="the kind, also with its collection (ansible.builtin.apt); or verify")
    parser.add_argument("--library", action="append", default=[], metavar="DIR", help="a folder with kinds of your own")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the document. Raises InvalidError for a kind that does not exist."""
    from personaplex_provision.planning.documentation import render_kind, render_list

    library = find_library([*args.library, "library"])
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    sys.stdout.write(render_kind(args.kind, library, width) if args.kind else render_list(library))
    return 0


def find_library(folders: list[str]) -> dict[str, str]:
    """The kinds in folders by name; the first folder wins. A folder that does not exist holds none."""
    found: dict[str, str] = {}
    for folder in folders:
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in names:
            if name.endswith(".py") and not name.startswith("_"):
                found.setdefault(name.removesuffix(".py"), os.path.join(folder, name))
    return found
