"""`provision schema`: the JSON schema of a playbook, for editors."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("schema", help="print the JSON schema of a playbook, for editors")
    parser.add_argument("--library", action="append", default=[], metavar="DIR", help="a folder with kinds of your own")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the schema."""
    from personaplex_provision.cli.doc import find_library
    from personaplex_provision.planning.jsonschema import playbook_schema

    json.dump(playbook_schema(find_library([*args.library, "library"])), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
    return 0
