"""Why an agent did not start, in words a person can act on."""

from __future__ import annotations

import re

from personaplex_provision.errors import Diagnostic, UnreachableError
from personaplex_provision.executors import wsl
from personaplex_provision.executors.base import Stream, unreachable

INSTALL = "sudo apt-get install -y python3"


class PythonMissingError(UnreachableError):
    """The host answers, but has no python3."""


_SUDO = (
    (r"a password is required|a terminal is required to read the password|no askpass program",
     "sudo wants a password", "give it with -K, or let this user use sudo without one (NOPASSWD)"),
    (r"you must have a tty", "sudo on this host insists on a terminal", "remove requiretty from its sudoers"),
    (r"not in the sudoers file|is not allowed to (execute|run)|may not run sudo",
     "this user may not use sudo", "connect as another user (-u), or add this one to sudoers"),
    (r"sudo: (command )?not found|sudo: No such file|\"sudo\": executable file not found|'sudo' not found",
     "there is no sudo on this host", "connect as root (-u root), or install sudo"),
    (r"sudo: unknown user:? (\S+)", "the user to become does not exist", "correct become_user"),
    (r"unable to resolve host .*\n.*sudo: \d+ incorrect|sudo: \d+ incorrect password",
     "the sudo password is wrong", "check -K or ansible_become_password"),
)
_MISSING = re.compile(
    r"python[\w.]*['\"’]?: (command )?not found|python[\w.]*['\"’]?: No such file"
    r"|python[\w.]*['\"]?: executable file not found|execvpe\(\S*python\S*\) failed"
    r"|failed to (run|execute) command ['\"‘]?\S*python|sudo: \S*python\S*: command not found"
    r"|No such file or directory.*python|Unknown command:? \S*python|(unable|failed) to exec\w* .*python", re.I,
)


def stopped_early(where: str, stream: Stream, output: bytes, lost: str = "") -> UnreachableError:
    """The command ended before the agent was there: `output` came on its standard output, `lost` says how it ended."""
    stream.errors.settle(1.0)
    status, errors = stream.exit_status, stream.stderr_tail()
    printed = wsl.decode(output)
    text = "\n".join(part for part in (printed, errors, lost) if part)
    from_wsl = wsl.explain(where, printed, status)
    if from_wsl:
        return from_wsl
    for pattern, summary, hint in _SUDO:
        if re.search(pattern, errors):
            return unreachable(f"{where}: {summary}", _last(errors), hint)
    if _MISSING.search(text) or (status == 127 and "sudo" not in text):
        return PythonMissingError(Diagnostic(
            f"{where}: there is no python3 on the host", _last(text),
            hint=f"install it there ({INSTALL}), or let it be installed with --install-python; "
                 "if it is in an unusual place, set ansible_python_interpreter",
        ))
    module = re.search(r"No module named ['\"]?([\w.]+)", errors)
    if module:
        return unreachable(f"{where}: the python3 of the host is incomplete: it has no {module[1]}", _last(errors),
                           f"install all of it there: {INSTALL}")
    if re.search(r"Unknown option: -I|SyntaxError.*\bexec\b", errors):
        return unreachable(f"{where}: its Python is too old", _last(errors), _NEWER)
    ended = f"with status {status}" if status is not None else "without a status"
    return unreachable(f"{where}: the agent did not start: the command ended {ended}", _last(text),
                       "the host's own output is above; a login shell that exits or prints errors is a usual reason")


def too_old(where: str, version: str) -> UnreachableError:
    """There is a Python 3, but not a usable one."""
    return unreachable(f"{where}: its Python is {version}, and 3.9 or newer is needed", hint=_NEWER)


def no_answer(where: str, printed: str, errors: str) -> UnreachableError:
    """Connected, but no marker came in time."""
    text = "\n".join(part for part in (printed, errors) if part)
    hint = "raise --timeout if the host is slow; a login shell that waits for input is another usual reason"
    return unreachable(f"{where}: connected, but its Python did not answer in time", _last(text), hint)


def noisy(where: str, printed: str) -> UnreachableError:
    """Only noise came."""
    hint = "quieten it for logins without a terminal"
    return unreachable(f"{where}: the login shell prints without end", _last(printed), hint)


_NEWER = "install a newer one beside it and name it in ansible_python_interpreter"


def _last(text: str, lines: int = 12) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
