"""`provision verify PLAYBOOK`: carries out the checks of a playbook, and changes nothing."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("verify", help="check what a playbook promises; changes nothing")
    parser.add_argument("playbook", metavar="PLAYBOOK")
    parser.add_argument("--milestones", action="store_true",
                        help="by the deployment plan's milestones and success criteria")
    parser.add_argument("--junit", metavar="FILE", help="write the checks as JUnit XML too")
    flags.everything(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Checks and prints; 0 when all checks hold, 6 when one does not. Raises InvalidError, MissingFileError."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.reports.jsonlines import JsonLines
    from personaplex_provision.reports.verification import MILESTONES, Verification, render

    output, options = session.begin(args, args.playbook)
    project, dialling = session.reach_playbook(output, options, args.playbook)
    from personaplex_provision.runs.verifying import VerifyingFleet

    if args.milestones and options.tags == frozenset({"all"}):
        options.tags = frozenset(MILESTONES)
    found = Verification()
    lines = JsonLines(sys.stdout) if output.json else None
    job = Job(output)

    def report(event: dict[str, Any]) -> None:
        event = job.final(event)
        for take in (output.take_hosts, found, lines):
            if take is not None:
                take(event)
        if lines is None and event["type"] == "diagnostic":
            from personaplex_provision.reports.diagnostics import of_event
            from personaplex_provision.reports.diagnostics import render as told

            output.say(told(of_event(event), output.err, str(event.get("host") or "")))

    fleet = VerifyingFleet(project, report, dialling=dialling)
    job.stop = lambda kill: fleet.stop(kill)

    def work() -> int:
        try:
            code = fleet.verify()
        finally:
            fleet.close()
        if args.junit:
            _write(args.junit, found, args.playbook)
        if not output.json:
            output.document(render(found, output.out, output.verbosity, args.milestones))
        return code

    return job.run(work)


def _write(path: str, found: Any, name: str) -> None:
    """Raises MissingFileError when the file cannot be written."""
    from personaplex_provision.errors import Diagnostic, MissingFileError
    from personaplex_provision.reports import junit

    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(junit.document(found, name))
    except OSError as error:
        raise MissingFileError(Diagnostic(f"cannot write {path}: {error.strerror}")) from None
