"""`provision rollback [RUN]`: takes runs back, newest first."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("rollback", help="take runs back")
    parser.add_argument("of", nargs="?", default="", metavar="RUN", help="this run and all after (default: the last)")
    parser.add_argument("--to", default="", metavar="RUN", help="back to how things were after this run")
    parser.add_argument("--plan", action="store_true", help="only show what it would do")
    parser.add_argument("--force", action="store_true", help="restore what someone changed since, too")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    flags.hosts(parser)
    group = parser.add_argument_group("running")
    flags.forks(group)
    flags.lock(group)
    for add in (flags.values, flags.link, flags.secrets, flags.output):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Takes back, or shows what that would do. Raises UsageError, DeclinedError."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.apply import agree
    from personaplex_provision.cli.running import Job
    from personaplex_provision.cli.stage import Stage
    from personaplex_provision.errors import UsageError
    from personaplex_provision.reports.undoing import render
    from personaplex_provision.runs.undo import rollback

    if args.of and args.to:
        raise UsageError("RUN and --to exclude each other")
    output, options = session.begin(args)
    job = Job(output, again="provision rollback")
    stage = Stage(output, job)

    def confirm() -> bool:
        stage.pause()
        if not output.json:
            output.say(render(stage.undoing, output.err, output.verbosity))
        if not stage.undoing.possible():
            return True
        return agree(output, job, stage.undoing.question(), "rollback", args.yes)

    def ready(stop: Callable[[bool], None]) -> None:
        job.stop, job.changing = stop, True

    def work() -> int:
        try:
            code = rollback(options, stage.report, run=args.of, to=args.to, plan=args.plan, force=args.force,
                            confirm=confirm, ready=ready)
            stage.close()
            if not output.json:
                output.document(render(stage.undoing, output.out, output.verbosity) if args.plan else
                                stage.summary_text())
            return stage.progress.exit if stage.progress.exit is not None else code
        finally:
            stage.close()

    return job.run(work)
