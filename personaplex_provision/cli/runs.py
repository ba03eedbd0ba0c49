"""`provision runs [show RUN]`: what the hosts remember of runs."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("runs", help="list the runs recorded on the hosts")
    parser.add_argument("what", nargs="*", metavar="show RUN", help="with `show`: one run, step by step")
    flags.hosts(parser)
    flags.forks(parser)
    for add in (flags.values, flags.link, flags.secrets, flags.output):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the list, or one run. Raises UsageError for a run that no host knows."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.errors import Diagnostic, UsageError
    from personaplex_provision.reports.history import render_list, render_run
    from personaplex_provision.runs.asking import recorded

    if args.what and (args.what[0] not in ("show", "list") or len(args.what) != (2 if args.what[0] == "show" else 1)):
        raise UsageError(Diagnostic(f'"{" ".join(args.what)}" is not understood', hint="provision runs [show RUN]"))
    only = args.what[1] if args.what[:1] == ["show"] else ""
    output, options = session.begin(args)
    job, found = Job(output), dict[str, list[dict[str, Any]]]()

    def work() -> int:
        found.update(recorded(options, only))
        return 0

    job.run(work)
    if only and not any(found.values()):
        raise UsageError(Diagnostic(f'no host knows a run "{only}"', hint="`provision runs` lists them"))
    if output.json:
        output.data(found)
    elif only:
        output.document(render_run(found, output.out, output.verbosity))
    else:
        output.document(render_list(found, output.out))
    return 0
