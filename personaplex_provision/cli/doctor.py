"""`provision doctor [HOST]`: what is wrong with PersonaPlex on a host, or in a log, why, and what helps."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from personaplex_provision.cli import flags
from personaplex_provision.cli.output import Output

if TYPE_CHECKING:
    from personaplex_provision.doctor.rules import Finding
    from personaplex_provision.runs.options import Options


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("doctor", help="say what is wrong with PersonaPlex on a host or in a log")
    parser.add_argument("host", nargs="?", metavar="HOST", help="the host; this machine without an inventory")
    parser.add_argument("--playbook", metavar="FILE", help="a playbook whose checks and variables count too")
    parser.add_argument("--log", action="append", default=[], metavar="FILE",
                        help="explain a log (- for standard input); without HOST no host is asked (repeatable)")
    parser.add_argument("--out", metavar="FILE", help="write the fixes as a playbook")
    for add in (flags.hosts, flags.values, flags.link, flags.secrets, flags.output):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Looks and tells; 0 when nothing was found, 6 when something was. Raises MissingFileError, InvalidError."""
    from personaplex_provision.cli import session
    from personaplex_provision.doctor.rules import merged

    output, options = session.begin(args, args.playbook or "")
    findings: list[Finding] = []
    for path in args.log:
        findings += _read(path)
    code, values = 0, dict[str, dict[str, Any]]()
    if args.host or args.playbook or not args.log:
        code, found, values = _examine(output, options, args.host or "", args.playbook)
        findings += found
    findings = merged(findings)
    if args.out:
        _write(output, args.out, findings, values)
    bad = any(one.rule.severity == "error" for one in findings)
    code = 6 if bad and code in (0, 5) else code
    _tell(output, findings, args.out or "")
    return output.ended(code)


def _read(path: str) -> list[Finding]:
    from personaplex_provision.doctor.rules import examine
    from personaplex_provision.errors import Diagnostic, MissingFileError

    try:
        if path == "-":
            text = sys.stdin.read()
        else:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
    except OSError as error:
        raise MissingFileError(Diagnostic(f"cannot read {path}: {error.strerror}")) from None
    return examine(text, "standard input" if path == "-" else path)


def _examine(
    output: Output, options: Options, host: str, playbook: str | None,
) -> tuple[int, list[Finding], dict[str, dict[str, Any]]]:
    from personaplex_provision.cli import session
    from personaplex_provision.cli.running import Job
    from personaplex_provision.doctor import examination
    from personaplex_provision.runs.project import open_project

    if playbook:
        project = session.open_playbook(output, options, playbook)
    else:
        project = open_project(options)
    pattern = host or ("all" if project.inventory.hosts else "localhost")
    if host:
        options.limit = host
    examination.evidence(project, pattern)

    def report(event: dict[str, Any]) -> None:
        output.take_hosts(event)
        if event["type"] == "diagnostic":
            from personaplex_provision.reports.diagnostics import of_event, render

            if output.json:
                output.event(event)
            else:
                output.say(render(of_event(event), output.err, str(event.get("host") or "")))

    fleet = examination.Examination(project, report)
    job = Job(output)
    job.stop = lambda kill: fleet.stop(kill)
    values: dict[str, dict[str, Any]] = {}

    def work() -> int:
        try:
            code = fleet.examine()
            for name, one in fleet.hosts.items():
                if one.parts:
                    values[name] = examination.values(one)
            return code
        finally:
            fleet.close()

    return job.run(work), fleet.findings, values


def _tell(output: Output, findings: list[Finding], out: str) -> None:
    if output.json:
        from personaplex_provision.doctor.prescription import tasks_of

        for one in findings:
            output.event({
                "type": "diagnostic", "host": one.host, "severity": one.rule.severity, "rule": one.rule.id,
                "summary": one.rule.title, "detail": one.rule.cause, "hint": one.rule.fix, "evidence": one.evidence,
                "tasks": tasks_of([one]),
            })
        return
    from personaplex_provision.reports.doctor import render

    output.document(render(findings, output.out, out))


def _write(output: Output, path: str, findings: list[Finding], values: dict[str, dict[str, Any]]) -> None:
    from personaplex_provision.doctor.prescription import playbook
    from personaplex_provision.errors import Diagnostic, MissingFileError

    text = playbook(findings, values, path)
    if not text:
        output.say("There is no fix to be written: what was found takes a person.")
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise MissingFileError(Diagnostic(f"cannot write {path}: {error.strerror}")) from None
