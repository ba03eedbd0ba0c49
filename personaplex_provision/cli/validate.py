"""`provision validate PLAYBOOK…`: everything that can be checked without a host."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("validate", help="check playbooks, roles and inventory; connects to nothing")
    parser.add_argument("playbooks", nargs="+", metavar="PLAYBOOK")
    flags.project(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Checks every playbook; all that is wrong in any of them is shown. Raises InvalidError, MissingFileError."""
    from personaplex_provision.cli import session
    from personaplex_provision.errors import InvalidError, MissingFileError, ProvisionError
    from personaplex_provision.language.playbook import nodes_of
    from personaplex_provision.runs.project import open_project

    output, options = session.begin(args, args.playbooks[0])
    errors: list[ProvisionError] = []
    for path in args.playbooks:
        try:
            project = open_project(options, path)
            session.notes(output, project)
            assert project.playbook is not None
            plays = project.playbook.plays
            if options.inventory:
                for play in plays:
                    project.hosts(play)
        except (InvalidError, MissingFileError) as error:
            errors.append(error)
            continue
        tasks = sum(len(list(nodes_of(play))) for play in plays)
        if not output.json and output.verbosity >= 0:
            plural = "" if len(plays) == 1 else "s"
            output.document(f"{path}: valid, {len(plays)} play{plural}, {tasks} tasks\n")
    if not errors:
        return output.ended(0)
    found = list(dict.fromkeys(one for error in errors for one in error.diagnostics))
    only_missing = all(isinstance(one, MissingFileError) for one in errors)
    raise (MissingFileError if only_missing else InvalidError)(found)
