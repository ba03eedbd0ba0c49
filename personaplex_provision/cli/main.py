"""`provision`: finds the command, imports it and only it, and turns every error into its exit code."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from personaplex_provision import __version__
from personaplex_provision.agent.start import LATER, put_off
from personaplex_provision.cli.shelf import Shelf

if TYPE_CHECKING:
    from personaplex_provision.cli.parser import Parser

COMMANDS = {
    "validate": "check playbooks, roles and inventory; connects to nothing",
    "plan": "show what would change; changes nothing",
    "apply": "plan, ask, then make it so",
    "verify": "check what a playbook promises; changes nothing",
    "doctor": "say what is wrong with PersonaPlex on a host or in a log, and what helps",
    "bundle": "collect what a bug report needs, without secrets",
    "rollback": "take runs back",
    "resume": "finish an interrupted run",
    "attach": "go on showing a run that is going on",
    "confirm": "confirm that a host can still be reached",
    "runs": "list the runs recorded on the hosts",
    "unlock": "show who holds the hosts, and free them",
    "graph": "show the tasks of a playbook and what each comes after",
    "inventory": "show hosts, groups and their variables",
    "vars": "show a host's variables, and where each was defined",
    "facts": "show what is found out about a host",
    "doc": "show the reference of a kind, or list all kinds",
    "schema": "print the JSON schema of a playbook, for editors",
    "completion": "print completion for a shell",
    "vault": "seal and open files with Ansible Vault",
}
_SELDOM = (*LATER, "ast", "configparser", "csv", "getpass", "ipaddress", "platform", "pprint", "random", "secrets",
           "tokenize", "traceback", "uuid", "zipfile")
"Modules of the standard library that are imported at every start, and used by few commands."
RESERVED = ("snapshot", "drift", "exec", "bench", "report", "ui",
            "lock", "import-ansible", "init", "pull")
"Names of commands to come: not to be used for anything else."


def script() -> None:
    """The entry point of the installed command."""
    # What is read stays until the end: looking for garbage in it, again and again, finds none.
    gc.set_threshold(100_000, 50, 50)
    shelf = Shelf()
    shelf.use()
    put_off(_SELDOM)
    _speak_english()
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from personaplex_provision.cli.failure import unread

        unread()
    shelf.keep()
    # Everything is closed by now. Taking the interpreter apart, module by module, would last a tenth of a second.
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _speak_english() -> None:
    """What argparse says is not translated, as nothing of ours is: it would look for catalogues at every start."""
    plain: Any = ModuleType("gettext")
    plain.gettext = lambda text: text
    plain.ngettext = lambda one, many, number: one if number == 1 else many
    sys.modules.setdefault("gettext", plain)


def main(arguments: list[str]) -> int:
    """Runs one command; returns its exit code, for whatever happens."""
    if arguments[:1] in (["--version"], ["version"]):
        sys.stdout.write(f"provision {__version__}\n")
        return 0
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    from personaplex_provision.cli import failure

    failure.current.clear()
    try:
        return _run(arguments)
    except SystemExit as error:  # argparse's --help
        return error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        return failure.answer(error, arguments)


def build(name: str, parser: Parser | None = None) -> Parser:
    """The parser of `provision` with one command; its module is imported here."""
    import importlib

    from personaplex_provision.cli.parser import Parser

    top = parser or Parser(prog="provision", add_help=False)
    commands = next((one for one in top._actions if hasattr(one, "add_parser")), None)
    if commands is None:
        commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    importlib.import_module(f"personaplex_provision.cli.{name}").add_parser(commands)
    return top


def _run(arguments: list[str]) -> int:
    from personaplex_provision.errors import Diagnostic, UsageError, suggestion

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if len(arguments) > 1 and arguments[1] in COMMANDS:
            return _run([arguments[1], "--help"])
        (sys.stdout if arguments else sys.stderr).write(overview())
        return 0 if arguments else 64
    name = arguments[0]
    if name in RESERVED:
        raise UsageError(Diagnostic(f"`provision {name}` is reserved, and not available yet",
                                    hint="`provision --help` lists what there is"))
    if name.startswith("-"):
        raise UsageError(Diagnostic(f'the command comes first, before "{name}"', hint="provision COMMAND [FLAGS]"))
    if name not in COMMANDS:
        near = suggestion(name, (*COMMANDS, *RESERVED)) or "`provision --help` lists what there is"
        raise UsageError(Diagnostic(f'unknown command "{name}"', hint=near))
    args = build(name).read(arguments)
    if name == "vault":
        from personaplex_provision.cli.settings import vault_defaults

        vault_defaults(args)
    code: int = args.run(args)
    sys.stdout.flush()
    return code


def overview() -> str:
    """What `provision --help` prints."""
    wide = max(map(len, COMMANDS))
    purpose = "Brings machines to a described state; shows the difference first, and takes every change back."
    lines = ["usage: provision COMMAND [FLAGS]", "", purpose, "", "commands:"]
    lines += [f"  {name:<{wide}}  {text}" for name, text in COMMANDS.items()]
    lines += ["", "`provision COMMAND --help` shows a command's flags; `provision --version` the version."]
    return "\n".join(lines) + "\n"
