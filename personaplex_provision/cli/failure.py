"""What is said, and answered, when a command ends with an exception."""

from __future__ import annotations

import os
import sys

from personaplex_provision import __version__
from personaplex_provision.cli.output import Output
from personaplex_provision.errors import Diagnostic, ProvisionError

current: list[Output] = []
"The output of the command that is running, once it has one."


def answer(error: BaseException, arguments: list[str]) -> int:
    """Reports the exception and returns the exit code."""
    if isinstance(error, BrokenPipeError):
        unread()
        return 0
    output = _output(arguments)
    if output.view is not None:
        output.view.close()
    if isinstance(error, KeyboardInterrupt):
        output.say("Interrupted.")
        return output.ended(130)
    if isinstance(error, ProvisionError):
        return output.failed(error)
    return _internal(error, output, arguments)


def unread() -> None:
    """Whoever read us has gone: the interpreter must not fail on flushing what is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _internal(error: BaseException, output: Output, arguments: list[str]) -> int:
    """A bug of ours: one paragraph, and the traceback for those who ask."""
    wanted = output.verbosity >= 2 or bool(os.environ.get("PROVISION_DEBUG"))
    place = _place(error)
    hint = "" if wanted else "the same command with -vv shows the traceback"
    detail = f"{type(error).__name__}: {error}\nat {place}, provision {__version__}"
    if wanted:
        import traceback

        output.say("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    output.diagnostic(Diagnostic(
        f"internal error in `provision {' '.join(arguments[:1])}`: a bug of provision, not of your files",
        detail, hint=hint,
    ))
    return output.ended(1)


def _place(error: BaseException) -> str:
    """Module and line of our code that was left last."""
    place, trace = "an unknown place", error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.startswith("personaplex_provision"):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _output(arguments: list[str]) -> Output:
    """The running command's output; before it has one, what can be told from the flags."""
    if current:
        return current[-1]
    return Output(2 if "-vv" in arguments else 0, "--json" in arguments, "--no-color" not in arguments)
