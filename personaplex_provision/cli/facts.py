"""`provision facts HOST`: what is found out about a host."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("facts", help="show what is found out about a host")
    parser.add_argument("host", metavar="HOST")
    for add in (flags.hosts, flags.values, flags.link, flags.secrets, flags.output):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Connects and prints. Raises UsageError for an unknown host, UnreachableError."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.inventory import as_yaml
    from personaplex_provision.cli.running import Job
    from personaplex_provision.runs.asking import gather

    output, options = session.begin(args)
    found: dict[str, Any] = {}

    def work() -> int:
        found.update(sorted(gather(options, args.host).items()))
        return 0

    Job(output).run(work)
    if output.json:
        output.data(found)
    else:
        output.document(as_yaml(found))
    return 0
