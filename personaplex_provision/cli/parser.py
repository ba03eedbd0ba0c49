"""The argument parser: argparse, with usage errors as diagnostics that suggest what was meant."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from personaplex_provision.errors import Diagnostic, UsageError, suggestion


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError, and takes no abbreviated flags."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
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
        if unknown:
            flags = self.flags()
            problems = []
            for one in unknown:
                word = one.partition("=")[0]
                what = "flag" if word.startswith("-") else "argument"
                near = suggestion(word, flags) if what == "flag" else ""
                problems.append(Diagnostic(f'unknown {what} "{word}"', hint=near or f"see `{self.prog} --help`"))
            raise UsageError(problems)
        return found
