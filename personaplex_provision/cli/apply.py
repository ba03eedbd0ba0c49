"""`provision apply PLAYBOOK | FILE.plan`: plan, ask, make it so."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from personaplex_provision.cli import flags
from personaplex_provision.cli.output import Output
from personaplex_provision.reports.numbers import counted

if TYPE_CHECKING:
    from personaplex_provision.cli.savedplan import Kept
    from personaplex_provision.reports.planned import HostPlanned
    from personaplex_provision.runs.options import Options


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("apply", help="plan, ask, then make it so")
    parser.add_argument("playbook", metavar="PLAYBOOK|FILE.plan")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("-C", "--check", action="store_true", help="only plan")
    parser.add_argument("-D", "--diff", action="store_true", help="differences are always shown")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit with 2 when something was changed")
    flags.everything(parser)
    flags.reversible(parser)
    parser.set_defaults(run=run, plan_max_age=None)


def run(args: argparse.Namespace) -> int:
    """Applies a playbook or a saved plan. Raises DeclinedError, StaleError, InvalidError …"""
    from personaplex_provision.cli import savedplan, session
    from personaplex_provision.planning.saved import is_saved

    kept = savedplan.open_(args.playbook) if is_saved(args.playbook) else None
    playbook = kept.playbook if kept else args.playbook
    if kept:
        kept.fill(args)
    output, options = session.begin(args, playbook)
    if kept:
        kept.check_age(args.plan_max_age)
        options.observed = True
    if args.check:
        from personaplex_provision.cli.plan import plan

        return plan(output, options, playbook, None, args.detailed_exitcode)
    return apply(output, options, playbook, args.yes, args.detailed_exitcode, kept)


def apply(
    output: Output, options: Options, playbook: str, yes: bool, detailed: bool = False, kept: Kept | None = None,
) -> int:
    """Plans a playbook, asks and applies it; with `kept` only if the plan is still that one."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.plan import chains
    from personaplex_provision.cli.running import Job
    from personaplex_provision.cli.stage import Stage
    from personaplex_provision.reports.plan import question

    project, dialling = session.reach_playbook(output, options, playbook)
    from personaplex_provision.runs.fleet import Fleet  # what it imports is read while the hosts answer

    job = Job(output)
    stage = Stage(output, job)
    detail = {"changes": detailed}

    def report(event: dict[str, Any]) -> None:
        if event["type"] == "summary" and event["exit"] == 0 and detail["changes"] and _changed(event):
            event = {**event, "exit": 2}
        stage.report(event)

    fleet = Fleet(project, report, keep=kept is not None, dialling=dialling)
    fleet.profile, fleet.together = stage.profile(options), stage.together
    job.stop = lambda kill: fleet.stop(kill)

    def confirm() -> bool:
        stage.pause()
        if kept is not None:
            for remark in kept.compare(fleet):
                output.diagnostic(remark)
            for name, host in fleet.hosts.items():
                if host.outcome.exit:  # what is not done is no part of the question
                    stage.planned.hosts.pop(name, None)
        if options.require_reversible:
            refuse_lasting(stage.planned.hosts.values(), options.require_reversible)
        if not output.json and not (yes and output.verbosity < 0):
            output.say(stage.plan_text(output.err, chains(fleet)))
        agreed = agree(output, job, question(stage.planned.totals()), "apply", yes)
        job.changing = agreed
        return agreed

    def work() -> int:
        try:
            code = fleet.apply(confirm)
            stage.close()
            if not output.json:
                if not job.changing and output.verbosity >= 0:
                    output.say(stage.plan_text(output.err))
                output.document(stage.summary_text())
            return stage.progress.exit if stage.progress.exit is not None else code
        finally:
            stage.close()
            fleet.close()

    return job.run(work)


def agree(output: Output, job: Any, question: str, command: str, yes: bool) -> bool:
    """Asks whether to go on; True with `-y`. Raises DeclinedError without a terminal to ask on."""
    from personaplex_provision.cli.prompts import ask_yes, has_terminal
    from personaplex_provision.errors import DeclinedError, Diagnostic

    if yes:
        return True
    if not has_terminal():
        raise DeclinedError(Diagnostic(f"{question}: there is no terminal to ask, and nothing was changed",
                                       hint=f"`provision {command} -y` does not ask"))
    answer = job.ask(lambda: ask_yes(f"{output.err(question, 'bold')}. Go on?"))
    if isinstance(answer, Exception):
        raise answer
    return bool(answer)


def refuse_lasting(hosts: Iterable[HostPlanned], required: str) -> None:
    """Raises DeclinedError that names every step of a class which `--require-reversible` does not let pass."""
    from personaplex_provision.agent.resource import PASSING
    from personaplex_provision.errors import DeclinedError, Diagnostic

    found = []
    for host in hosts:
        for entry in host.pending():
            name = str(entry.get("reversible", "unknown"))
            if name not in PASSING[required]:
                said = "what it holds is not known yet" if name == "unknown" else f"it is {name}"
                found.append(Diagnostic(f"{host.name}: {entry.get('name') or entry['task']} ({entry['kind']}): {said}"))
    if found:
        flag = "--require-reversible" + ("=exact" if required == "exact" else "")
        raise DeclinedError([
            Diagnostic(f"{flag}: {counted(len(found), 'step')} cannot be taken, and nothing was changed",
                       hint="give a command its `undo:`, or leave the step out (--skip-tags, a `when`)"), *found,
        ])


def _changed(event: dict[str, Any]) -> bool:
    return any(host.get("changed") for host in event["hosts"].values())
