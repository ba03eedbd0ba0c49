"""`provision inventory`: hosts, groups and variables, as `ansible-inventory` prints them."""

from __future__ import annotations

import argparse
from typing import Any

from personaplex_provision.cli import flags


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("inventory", help="show hosts, groups and their variables")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="everything, in the form of an inventory script")
    what.add_argument("--host", metavar="HOST", help="one host's variables")
    what.add_argument("--graph", nargs="?", const="all", metavar="GROUP", help="groups and hosts as a tree")
    parser.add_argument("--export", action="store_true", help="with --list: variables where they are defined")
    parser.add_argument("--yaml", action="store_true", help="YAML instead of JSON")
    parser.add_argument("--playbook-dir", metavar="DIR", help="read group_vars and host_vars here, too")
    flags.project(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the document. Raises UsageError for a host or group that does not exist."""
    from personaplex_provision.cli import session
    from personaplex_provision.errors import Diagnostic, UsageError, suggestion
    from personaplex_provision.language import inventory_export
    from personaplex_provision.runs.project import open_project

    output, options = session.begin(args)
    project = open_project(options)
    inventory = project.inventory
    if args.graph:
        if args.graph not in inventory.groups:
            raise UsageError(Diagnostic(f'no group is called "{args.graph}"',
                                        hint=suggestion(args.graph, inventory.groups)))
        output.document(inventory_export.graph(inventory, args.graph) + "\n")
    else:
        if args.host:
            inventory.host(args.host)
            layers = [*inventory.layers(args.host, args.playbook_dir), *project.extra]
            found: Any = inventory_export.export_vars(layers)
        else:
            found = inventory_export.export(inventory, merged=not args.export)
            if options.limit:
                found = _limited(found, set(inventory.limited(options.limit)))
        if args.yaml:
            output.document(as_yaml(found))
        else:
            output.data(found)
    session.notes(output, project)
    return 0


def as_yaml(found: Any) -> str:
    """Data as YAML: plain values, in the order they are in."""
    import json

    import yaml

    plain = json.loads(json.dumps(found, default=str))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120))


def _limited(found: dict[str, Any], allowed: set[str]) -> dict[str, Any]:
    """The listing without the hosts that a limit leaves out."""
    kept: dict[str, Any] = {}
    for name, group in found.items():
        if name == "_meta":
            kept[name] = {**group, "hostvars": {host: values for host, values in group["hostvars"].items()
                                                if host in allowed}}
        elif "hosts" in group:
            kept[name] = {**group, "hosts": [host for host in group["hosts"] if host in allowed]}
        else:
            kept[name] = group
    return kept
