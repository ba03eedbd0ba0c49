"""`provision vars HOST [NAME]`: a host's variables and where each was defined, without connecting."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from personaplex_provision.cli import flags

if TYPE_CHECKING:
    from personaplex_provision.language.variables import Definition, Variables
    from personaplex_provision.runs.project import Project


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("vars", help="show a host's variables, and where each was defined")
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("name", nargs="?", metavar="NAME", help="only this variable")
    parser.add_argument("--explain", action="store_true", help="every definition, the winner first, with file:line")
    parser.add_argument("-p", "--playbook", metavar="FILE", help="what its plays and roles define, too")
    flags.project(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints values as written, or all definitions. Raises UsageError for an unknown host or variable."""
    from personaplex_provision.cli import session
    from personaplex_provision.errors import Diagnostic, UsageError, suggestion
    from personaplex_provision.language.inventory_export import export_vars
    from personaplex_provision.runs.project import open_project

    output, options = session.begin(args, args.playbook or "")
    project = open_project(options, args.playbook)
    project.inventory.host(args.host)
    variables = _variables(project, args.host)
    known = list(variables.as_dict())
    if args.name and args.name not in known:
        raise UsageError(Diagnostic(f'{args.host} has no variable "{args.name}"', hint=suggestion(args.name, known)))
    names = [args.name] if args.name else sorted(known)
    if args.explain:
        found = {name: [_definition(one) for one in variables.definitions(name)] for name in names}
        if output.json:
            output.data(found)
        else:
            output.document("".join(_explained(name, found[name], output.out) for name in names))
    else:
        values = export_vars(list(variables.layers))
        chosen = {name: values[name] for name in names}
        if output.json:
            output.data(chosen)
        else:
            from personaplex_provision.cli.inventory import as_yaml

            output.document(as_yaml(chosen) if chosen else "")
    session.notes(output, project)
    return 0


def _variables(project: Project, host: str) -> Variables:
    """What the inventory and `-e` say; with a playbook also what the plays that include the host say."""
    if project.playbook is None:
        return project.variables(host)
    from personaplex_provision.executors.connection import Connection
    from personaplex_provision.language.variables import Level

    found = project.variables(host)
    seen = set(map(id, found.layers))
    for play in project.playbook.plays:
        if host not in project.hosts(play):
            continue
        base = project.context(host, play, {}, Connection(host, "local"), [host], [host]).base
        fresh = [one for one in base.layers if id(one) not in seen and one.level is not Level.FACTS]
        seen.update(map(id, fresh))
        found = found.extended(*fresh)
    return found


def _definition(one: Definition) -> dict[str, Any]:
    """A definition as JSON: secrets by their names, encrypted values as what they are."""
    from personaplex_provision.language.inventory_export import export_vars
    from personaplex_provision.language.variables import Layer

    shown = export_vars([Layer(one.level, {one.name: one.value}, one.origin)])[one.name]
    if isinstance(shown, dict) and set(shown) == {"__ansible_vault"}:
        shown = "(encrypted)"
    found: dict[str, Any] = {"value": shown, "level": one.level.name.lower(), "origin": one.origin}
    if one.position is not None:
        found |= {"file": one.position.file, "line": one.position.line, "column": one.position.column}
    return found


def _explained(name: str, definitions: list[dict[str, Any]], style: Any) -> str:
    from personaplex_provision.reports.difference import value

    lines = [style(name, "bold")]
    for number, one in enumerate(definitions):
        where = one.get("file", "")
        if one.get("line"):
            where += f":{one['line']}:{one['column']}"
        mark = style("wins", "green") if number == 0 else style("    ", "dim")
        told = where and not where.startswith("<") and where != one["origin"]
        place = f"{one['origin']}  {where}" if told else one["origin"]
        level = one["level"].replace("_", " ")
        lines.append(f"  {mark}  {value(one['value'])}")
        lines.append(f"        {level}: {place}")
    return "\n".join(lines) + "\n"
