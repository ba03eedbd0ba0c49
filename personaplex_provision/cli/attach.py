"""`provision attach [RUN]`: goes on showing a run, from wherever it was begun."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("attach", help="go on showing a run that is going on")
    parser.add_argument("of", nargs="?", default="", metavar="RUN", help="which one (default: the newest)")
    flags.asking(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows the run to its end; its exit code. Ctrl-C leaves it alone."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.cli.stage import Stage
    from personaplex_provision.runs.attach import attach

    output, options = session.begin(args)
    job = Job(output)
    job.unchanged = "Left. The run goes on; see it again with: provision attach"
    stage = Stage(output, job)

    def work() -> int:
        try:
            code = attach(options, stage.report, args.of)
            stage.close()
            if not output.json:
                output.document(stage.summary_text())
            return code
        finally:
            stage.close()

    return job.run(work)
