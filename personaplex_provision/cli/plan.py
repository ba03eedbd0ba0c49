"""`provision plan PLAYBOOK`: the difference between the hosts and what is written; changes nothing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from personaplex_provision.cli import flags
from personaplex_provision.cli.output import Output

if TYPE_CHECKING:
    from personaplex_provision.runs.fleet import Fleet
    from personaplex_provision.runs.options import Options


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("plan", help="show what would change; changes nothing")
    parser.add_argument("playbook", metavar="PLAYBOOK")
    parser.add_argument("--out", metavar="FILE", help="keep the plan in a file that `apply` takes")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when something would change")
    parser.add_argument("-D", "--diff", action="store_true", help="differences are always shown")
    flags.everything(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plans and prints."""
    from personaplex_provision.cli import session

    output, options = session.begin(args, args.playbook)
    return plan(output, options, args.playbook, getattr(args, "out", None), args.detailed_exitcode)


def plan(output: Output, options: Options, playbook: str, out: str | None, detailed: bool) -> int:
    """Plans a playbook, prints the plan and, with `out`, keeps it. Returns the exit code."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.cli.stage import Stage

    options.observed = bool(out)
    project, dialling = session.reach_playbook(output, options, playbook)
    from personaplex_provision.runs.fleet import Fleet  # what it imports is read while the hosts answer

    job = Job(output)
    stage = Stage(output, job)
    fleet = Fleet(project, stage.report, keep=bool(out), dialling=dialling)
    fleet.profile, fleet.together = stage.profile(options), stage.together

    def work() -> int:
        try:
            code = fleet.plan()
            if detailed and code == 0 and stage.planned.totals().actions:
                code = 2
            stage.close()
            if out:
                from personaplex_provision.cli import savedplan

                savedplan.keep(out, fleet, playbook)
            if not output.json:
                output.document(stage.plan_text(output.out, chains(fleet)))
            fleet.summary(code)
            return code
        finally:
            stage.close()
            fleet.close()

    return job.run(work)


def chains(fleet: Fleet) -> dict[str, list[str]]:
    """The chain of steps that decides how long applying takes, by host, as names of tasks."""
    from personaplex_provision.planning.order import critical_path

    found: dict[str, list[str]] = {}
    steps: dict[tuple[object, ...], list[str]] = {}
    "What was found for a graph and those of its tasks that are steps: hosts that do the same share their edges."
    for name, host in fleet.hosts.items():
        chain: list[str] = []
        for part in host.parts:
            idle = [one for one, entry in part.entries.items() if entry.get("action", "none") == "none"]
            weights = dict.fromkeys(part.graph.tasks, 0.0) | dict.fromkeys(part.entries, 1.0) | dict.fromkeys(idle, 0.0)
            key = id(part.graph.edges), *weights.items()
            if key not in steps:
                steps[key] = [one for one in critical_path(part.graph, weights)[0] if weights[one]]
            chain += [part.graph.tasks[one].name or one for one in steps[key]]
        found[name] = chain
    return found
