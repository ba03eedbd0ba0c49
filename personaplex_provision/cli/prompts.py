"""Questions to a person, on the terminal and nowhere else."""

from __future__ import annotations

import getpass
import sys

from personaplex_provision.errors import DeclinedError, Diagnostic


def has_terminal() -> bool:
    """Whether there is a person to ask: both where we read and where we write questions is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask_secret(text: str) -> str:
    """A password, typed without being shown. Raises DeclinedError without a terminal."""
    if not _reachable():
        raise DeclinedError(Diagnostic("there is no terminal to ask for a password",
                                       hint="keep it in the vault as ansible_password or ansible_become_password"))
    try:
        return getpass.getpass(text)
    except EOFError:
        raise DeclinedError("no password was given") from None


def ask_passphrase(path: str) -> str | None:
    """The passphrase of a key file; None when there is no one to ask."""
    return ask_secret(f"Passphrase of {path}: ") if _reachable() else None


def ask_yes(question: str) -> bool:
    """Whether the answer to a question is yes; only the whole word counts. The end of input is a no."""
    _forget_typed()
    sys.stderr.write(f"{question} Only \"yes\" goes on: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")
    return answer.strip().lower() == "yes"


def ask_line(text: str) -> str:
    """A line of text. Raises DeclinedError without a terminal."""
    if not has_terminal():
        raise DeclinedError(Diagnostic(f"there is no terminal to ask: {text.strip(' :')}", hint="give it with -e"))
    sys.stderr.write(text)
    sys.stderr.flush()
    return sys.stdin.readline().rstrip("\n")


def _forget_typed() -> None:
    """What was typed before a question was asked is no answer to it."""
    import termios

    try:
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
    except (termios.error, OSError, ValueError):
        return


def _reachable() -> bool:
    try:
        with open("/dev/tty", "r+b", buffering=0):
            return True
    except OSError:
        return sys.stdin is not None and sys.stdin.isatty()
