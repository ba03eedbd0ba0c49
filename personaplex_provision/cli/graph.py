"""`provision graph PLAYBOOK`: the tasks of every host and what each comes after."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("graph", help="show the tasks of a playbook and what each comes after")
    parser.add_argument("playbook", metavar="PLAYBOOK")
    parser.add_argument("--format", choices=("text", "dot", "mermaid", "json"), default=None, help="default: text")
    flags.everything(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Connects for the facts, compiles and prints; with `--json` the format is json."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.reports.graph import FORMATS
    from personaplex_provision.runs.fleet import Fleet

    output, options = session.begin(args, args.playbook)
    project = session.open_playbook(output, options, args.playbook)
    draw = FORMATS[args.format or ("json" if output.json else "text")]

    def told(event: dict[str, Any]) -> None:
        if event["type"] == "diagnostic":
            from personaplex_provision.reports.diagnostics import of_event, render

            output.say(render(of_event(event), output.err, str(event.get("host") or "")))

    fleet = Fleet(project, told)

    def work() -> int:
        try:
            code = fleet.plan()
        finally:
            fleet.close()
        many = any(len(host.parts) > 1 for host in fleet.hosts.values())
        for name, host in fleet.hosts.items():
            for number, part in enumerate(host.parts, 1):
                output.document(draw(part.graph, f"{name} play {number}" if many else name))
        return code

    return Job(output).run(work)
