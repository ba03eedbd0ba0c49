"""The argument parser: argparse, with usage errors as diagnostics that suggest what was meant."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

from personaplex_provision.errors import Diagnostic, UsageError, suggestion


class _Formatter(argparse.HelpFormatter):
    """As argparse's own, which loads three compressors with `shutil` to ask it for the width of the terminal."""

    def __init__(self, prog: str) -> None:
        terminal: Any = sys.__stdout__
        try:
            columns = int(os.environ.get("COLUMNS", 0)) or os.get_terminal_size(terminal.fileno()).columns
        except (AttributeError, ValueError, OSError):
            columns = 0
        super().__init__(prog, width=(columns or 80) - 2)


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError, and takes no abbreviated flags."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", _Formatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError with the usage line as its hint."""
        raise UsageError(Diagnostic(message, hint=f"see `{self.prog} --help`"))

    def flags(self) -> list[str]:
        """Every option of this parser that its help shows, of its subcommands too."""
        found: list[str] = []
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for child in action.choices.values():
                    found += child.flags()
            elif action.help != argparse.SUPPRESS:
                found += action.option_strings
        return list(dict.fromkeys(found))

    def read(self, arguments: list[str]) -> argparse.Namespace:
        """The arguments, read. Raises UsageError that names every flag it does not know."""
        found, unknown = self.parse_known_args(arguments)
        # What follows an unknown flag may be its value: it is no problem of its own.
        wrong = [one for one in unknown if one.startswith("-")] or unknown
        known, help_ = self.flags(), f"see `{self.prog} {' '.join(arguments[:1])} --help`"
        problems = []
        for one in wrong:
            word = one.partition("=")[0]
            if word.startswith("-"):
                problems.append(Diagnostic(f'unknown flag "{word}"', hint=suggestion(word, known) or help_))
            else:
                problems.append(Diagnostic(f'"{one}" is one argument too many', hint=help_))
        if problems:
            raise UsageError(problems)
        return found
