"""`provision runs [show RUN | prune]`: what the hosts remember of runs, and dropping what is old."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from personaplex_provision.cli import flags, quantities
from personaplex_provision.errors import Diagnostic, UsageError

_LIMITS = ("keep", "older_than", "max_size")


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("runs", help="list the runs recorded on the hosts, or drop old ones")
    parser.add_argument("what", nargs="*", metavar="show RUN|prune",
                        help="with `show`: one run, step by step; with `prune`: drop old runs and what only they need")
    group = parser.add_argument_group("pruning (one of the three is needed)")
    group.add_argument("--keep", type=_number, metavar="N", help="keep the newest N runs; others go")
    group.add_argument("--older-than", type=_read(quantities.duration), metavar="AGE",
                       help="runs older than this go (30d, 12h, 90m); with --keep, those that are both")
    group.add_argument("--max-size", type=_read(quantities.size), metavar="SIZE",
                       help="the oldest go until the rest takes no more than this (2G, 500M)")
    group.add_argument("-y", "--yes", action="store_true", help="do not ask")
    flags.lock(group)
    flags.asking(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the list, or one run, or prunes. Raises UsageError for a run that no host knows."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.reports.history import render_list, render_run
    from personaplex_provision.runs.asking import recorded

    if args.what == ["prune"]:
        return prune(args)
    if args.what and (args.what[0] not in ("show", "list") or len(args.what) != (2 if args.what[0] == "show" else 1)):
        raise UsageError(Diagnostic(f'"{" ".join(args.what)}" is not understood',
                                    hint="provision runs [show RUN | prune]"))
    given = [name for name in _LIMITS if getattr(args, name) is not None]
    if given:
        raise UsageError(Diagnostic(f"--{given[0].replace('_', '-')} is for pruning", hint="provision runs prune"))
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


def prune(args: argparse.Namespace) -> int:
    """Shows what would go and what is lost with it, asks, and drops it. Raises UsageError, DeclinedError."""
    from personaplex_provision.cli import session
    from personaplex_provision.cli.apply import agree
    from personaplex_provision.cli.running import Job
    from personaplex_provision.errors import DeclinedError
    from personaplex_provision.reports.diagnostics import of_event
    from personaplex_provision.reports.pruning import question, render, told
    from personaplex_provision.runs.pruning import Limits, Pruning

    limits = Limits(args.keep, args.older_than, args.max_size)
    if all(one is None for one in vars(limits).values()):
        raise UsageError(Diagnostic("nothing says which runs are to go",
                                    hint="give --keep N, --older-than 30d or --max-size 2G"))
    output, options = session.begin(args)
    job = Job(output)

    def work() -> int:
        pruning = Pruning(options, limits, lambda event: output.diagnostic(of_event(event)))
        try:
            pruning.look()
            if not output.json:
                output.document(render(pruning.found, pruning.records, output.out))
            if pruning.going() or pruning.records:
                if not agree(output, job, question(pruning.found, pruning.records), "runs prune", args.yes):
                    raise DeclinedError("declined: nothing was dropped")
                job.changing = True
            pruning.drop()
            if not output.json:
                output.document(told(pruning.found, output.out))
            return pruning.exit()
        finally:
            pruning.close()
            if output.json:
                output.data(pruning.found)

    return job.run(work)


def _read(form: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader of a flag's value whose errors say the forms."""
    def read(text: str) -> Any:
        try:
            return form(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _number(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f'"{text}" is no number of runs: write 0 or more, as in 20')
    return int(text)
