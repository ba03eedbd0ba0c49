"""`provision resume [RUN]`: finishes an interrupted run by applying its playbook again, as it was asked for."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from personaplex_provision.cli import flags
from personaplex_provision.errors import Diagnostic, UsageError


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("resume", help="finish an interrupted run")
    parser.add_argument("of", nargs="?", default="", metavar="RUN", help="the run (default: the last one)")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    flags.everything(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Applies again what the run was about; what is done is found done. Raises UsageError without such a run."""
    from personaplex_provision.cli import apply
    from personaplex_provision.cli.main import build
    from personaplex_provision.runs import records

    record = records.latest(args.of)
    if not record:
        which = f'no run "{args.of}" is' if args.of else "no run is"
        raise UsageError(Diagnostic(f"{which} recorded on this machine", f"runs are kept in {records.folder()}",
                                    hint="`provision runs` lists those the hosts know"))
    if record.get("exit") == 0:
        raise UsageError(Diagnostic(f"the run {record['run']} ended well: there is nothing to finish"))
    if record.get("extra_vars") and not args.extra_vars:
        raise UsageError(Diagnostic(f"the run {record['run']} was made with -e, whose values are not recorded",
                                    hint="give the same -e again"))
    arguments = rebuilt(record)
    if os.path.isdir(record.get("directory") or ""):
        os.chdir(record["directory"])
    found = build("apply").read(arguments)
    for name, value in vars(args).items():
        if name not in ("of", "run", "command", "yes") and value not in (None, False, 0):
            setattr(found, name, value)
    found.yes, found.check = args.yes, False
    # What the record of this run tells is how to do it again.
    sys.argv = [sys.argv[0], *arguments]
    return apply.run(found)


def rebuilt(record: dict[str, Any]) -> list[str]:
    """The arguments of the `apply` that a record tells of."""
    recorded = [str(one) for one in record.get("arguments", [])]
    if recorded[:1] == ["apply"]:
        return [one for one in recorded if one not in ("-y", "--yes")]
    if not record.get("playbook"):
        raise UsageError(Diagnostic(f"the run {record.get('run')} was not about a playbook"))
    found = ["apply", str(record["playbook"])]
    for source in record.get("inventory", []):
        found += ["-i", str(source)]
    if record.get("limit"):
        found += ["-l", str(record["limit"])]
    tags, skipped = record.get("tags") or ["all"], record.get("skip_tags") or []
    if tags != ["all"]:
        found += ["-t", ",".join(tags)]
    if skipped:
        found += ["--skip-tags", ",".join(skipped)]
    return found
