"""`provision confirm RUN`: tells hosts over a new connection that they can still be reached."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("confirm", help="confirm that a host can still be reached")
    parser.add_argument("of", metavar="RUN", help="the run that waits for it")
    flags.asking(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Confirms; 7 where the run is not waiting, or not any more."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.reports.diagnostics import of_event
    from personaplex_provision.runs.attach import confirm

    output, options = session.begin(args)
    found: dict[str, bool] = {}

    def work() -> int:
        return confirm(options, lambda event: output.diagnostic(of_event(event)), args.of, found)

    code = Job(output).run(work)
    if output.json:
        output.data(found)
    else:
        words = {True: "confirmed: the run goes on", False: "nothing waits to be confirmed"}
        output.document("".join(f"{host}: {words[good]}\n" for host, good in found.items()))
    return code
