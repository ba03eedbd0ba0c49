"""`provision completion bash|zsh|fish`: made from the parsers themselves, so that it knows what they know."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from personaplex_provision.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("completion", help="print completion for a shell")
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the script."""
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[args.shell](words()))
    return 0


def words() -> dict[str, list[str]]:
    """By command what may follow it: its flags, the names of its own commands, values of a fixed choice."""
    from personaplex_provision.cli.main import COMMANDS, build

    found: dict[str, list[str]] = {}
    top: Parser | None = None
    for name in COMMANDS:
        top = build(name, top)
    assert top is not None
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name in COMMANDS:
                found[name] = _of(action.choices[name])
    found["runs"] += ["show", "prune"]
    return found


def _of(parser: argparse.ArgumentParser) -> list[str]:
    chosen: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            chosen += list(action.choices)
        elif action.choices and not action.option_strings:
            chosen += [str(one) for one in action.choices]
    assert isinstance(parser, Parser)
    return [*chosen, *parser.flags()]


def bash(found: dict[str, list[str]]) -> str:
    """Source it: `source <(provision completion bash)`."""
    cases = "\n".join(f'    {name}) words="{" ".join(more)}" ;;' for name, more in found.items())
    return f"""# provision completion for bash: source <(provision completion bash)
_provision() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{' '.join(found)} --help --version" -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ "${{word:0:1}}" != "-" ]; then
    COMPREPLY+=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _provision provision
"""


def zsh(found: dict[str, list[str]]) -> str:
    """Put it on the fpath as `_provision`, or source it."""
    from personaplex_provision.cli.main import COMMANDS

    listed = "\n".join("    '" + f"{name}:{text}".replace("'", "'\\''") + "'" for name, text in COMMANDS.items())
    cases = "\n".join(f"    {name}) found=({' '.join(more)}) ;;" for name, more in found.items())
    return f"""#compdef provision
# provision completion for zsh: provision completion zsh > "${{fpath[1]}}/_provision"
_provision() {{
  local -a commands found
  commands=(
{listed}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
{cases}
  esac
  compadd -a found
  _files
}}
if [ "$funcstack[1]" = "_provision" ]; then
  _provision "$@"
else
  compdef _provision provision
fi
"""


def fish(found: dict[str, list[str]]) -> str:
    """Put it into fish's completions folder as `provision.fish`."""
    from personaplex_provision.cli.main import COMMANDS

    lines = ["# provision completion for fish: provision completion fish > ~/.config/fish/completions/provision.fish"]
    for name, text in COMMANDS.items():
        told = text.replace("'", "\\'")
        lines.append(f"complete -c provision -n __fish_use_subcommand -f -a {name} -d '{told}'")
    for name, more in found.items():
        for word in more:
            condition = f"-n '__fish_seen_subcommand_from {name}'"
            if word.startswith("--"):
                lines.append(f"complete -c provision {condition} -l {word[2:]}")
            elif word.startswith("-"):
                lines.append(f"complete -c provision {condition} -s {word[1:]}")
            else:
                lines.append(f"complete -c provision {condition} -a {word}")
    return "\n".join(lines) + "\n"
