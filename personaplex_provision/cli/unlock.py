"""`provision unlock [HOST…]`: which run holds each host; frees them on request."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags

PATIENCE = 30.0
"Seconds a run is given to come to the end of a step."


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("unlock", help="show who holds the hosts, and free them")
    parser.add_argument("host", nargs="*", metavar="HOST", help="only these hosts (patterns, as for --limit)")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--force", action="store_true",
                        help="end a run that does not stop, with what it is running; the next run puts that right")
    flags.hosts(parser)
    group = parser.add_argument_group("running")
    flags.forks(group)
    group.add_argument("--lock-timeout", type=flags.seconds, metavar="SECONDS",
                       help="how long a run may take to come to the end of a step (default 30)")
    for add in (flags.values, flags.link, flags.secrets, flags.output):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Shows the leases, asks, and frees what is held. Raises DeclinedError; 8 when a run keeps its host."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.apply import agree
    from personaplex_provision.cli.running import Job
    from personaplex_provision.reports.leases import render, told
    from personaplex_provision.reports.numbers import counted
    from personaplex_provision.runs.unlock import Leases

    if args.host:
        args.limit = [*(args.limit or []), ",".join(args.host)]
    output, options = session.begin(args)
    patience = PATIENCE if args.lock_timeout is None else args.lock_timeout
    job = Job(output)

    def tell(event: dict[str, Any]) -> None:
        from personaplex_provision.reports.diagnostics import of_event

        output.diagnostic(of_event(event))

    def work() -> int:
        leases = Leases(options, tell)
        try:
            leases.look()
            if not output.json:
                output.document(render(leases.found, output.out))
            held = leases.held()
            if held:
                question = f"To stop {counted(len(held), 'run')} and free {counted(len(held), 'host')}"
                if args.force:
                    question += f", by force after {patience:g} s"
                if not agree(output, job, question, "unlock", args.yes):
                    from personaplex_provision.errors import DeclinedError

                    raise DeclinedError("declined: nothing was changed")
                leases.free(patience, args.force)
                if not output.json:
                    output.document(told(leases.found, output.out))
            return leases.exit()
        finally:
            leases.close()
            if output.json:
                output.data(leases.found)

    return job.run(work)
