"""`provision bundle [HOST]`: everything a bug report needs, in one archive without secrets."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from typing import TYPE_CHECKING, Any

from personaplex_provision.cli import flags
from personaplex_provision.cli.output import Output

if TYPE_CHECKING:
    from personaplex_provision.doctor.collection import Collection
    from personaplex_provision.runs.options import Options


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("bundle", help="collect what a bug report needs, without secrets")
    parser.add_argument("host", nargs="?", metavar="HOST", help="the host; this machine without an inventory")
    parser.add_argument("--playbook", metavar="FILE", help="a playbook whose plan, checks and variables belong to it")
    parser.add_argument("--out", metavar="FILE", help="the archive (default provision-bundle-TIME.tar.gz)")
    for add in (flags.hosts, flags.values, flags.link, flags.secrets, flags.output):
        add(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Collects and writes; 0 also when a host is unwell. Raises MissingFileError, InvalidError."""
    from personaplex_provision.cli import session
    from personaplex_provision.doctor import examination
    from personaplex_provision.doctor.collection import Collection
    from personaplex_provision.runs.project import open_project

    output, options = session.begin(args, args.playbook or "")
    plan, secrets = _plan(output, options, args.playbook, args.host) if args.playbook else ([], [])
    project = session.open_playbook(output, options, args.playbook) if args.playbook else open_project(options)
    pattern = args.host or ("all" if project.inventory.hosts else "localhost")
    options.limit = args.host or options.limit
    examination.evidence(project, pattern, "bundle")
    fleet = Collection(project, output.take_hosts)
    code = _job(output, fleet, fleet.collect)
    path = args.out or time.strftime("provision-bundle-%Y%m%dT%H%M%S.tar.gz")
    manifest = _pack(path, fleet, plan, secrets)
    if output.json:
        output.event({"type": "diagnostic", "severity": "info", "summary": "bundle written", "path": path, **manifest})
    else:
        output.document(f"{path}: {len(manifest['files'])} files, {os.path.getsize(path)} bytes, secrets redacted\n")
    return output.ended(code)


def _job(output: Output, fleet: Any, work: Any) -> int:
    from personaplex_provision.cli.running import Job

    job = Job(output)
    job.stop = lambda kill: fleet.stop(kill)

    def closing() -> int:
        try:
            return int(work())
        finally:
            fleet.close()

    return job.run(closing)


def _plan(output: Output, options: Options, playbook: str, host: str | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The events of a plan, and the secrets that it knew."""
    from personaplex_provision.agent.record import replace
    from personaplex_provision.cli import session
    from personaplex_provision.runs.fleet import Fleet

    project = session.open_playbook(output, replace(options, limit=host or options.limit), playbook)
    events: list[dict[str, Any]] = []
    fleet = Fleet(project, events.append)
    _job(output, fleet, fleet.plan)
    return events, _secrets(fleet)


def _secrets(fleet: Any) -> list[str]:
    found: list[str] = []
    for host in fleet.hosts.values():
        if host.context is not None:
            found += host.context.stock.secrets.values()
    return found


def _pack(path: str, fleet: Collection, plan: list[dict[str, Any]], secrets: list[str]) -> dict[str, Any]:
    from personaplex_provision.doctor import archive
    from personaplex_provision.doctor.collection import Collected
    from personaplex_provision.doctor.rules import merged
    from personaplex_provision.errors import Diagnostic, MissingFileError

    files: dict[str, str] = {}
    for name, host in fleet.hosts.items():
        assert isinstance(host, Collected)
        files |= {f"{name}/{file}": text for file, text in host.files.items()}
        files[f"{name}/facts.json"] = json.dumps(host.hello.get("facts", {}), indent=2, default=str)
        files[f"{name}/runs.json"] = json.dumps(fleet.history.get(name, []), indent=2, default=str)
    files["findings.json"] = json.dumps(
        [{"host": one.host, "rule": one.rule.id, "title": one.rule.title, "evidence": one.evidence}
         for one in merged(fleet.findings)], indent=2)
    if plan:
        files["plan.jsonl"] = "".join(json.dumps(one, default=str) + "\n" for one in plan)
    known = [*secrets, *_secrets(fleet), *(os.environ.get(one, "") for one in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))]
    here = {"python": platform.python_version(), "system": platform.platform()}
    about = {"hosts": list(fleet.hosts), "controller": here}
    try:
        return archive.write(path, files, known, about)
    except OSError as error:
        raise MissingFileError(Diagnostic(f"cannot write {path}: {error.strerror}")) from None
