"""Linux in WSL2, through wsl.exe: of this machine, or behind the ssh server of a Windows machine.

The command is one that cmd.exe, PowerShell and wsl.exe pass on unchanged, everything else travels on standard
input, which wsl.exe relays byte for byte. What wsl.exe itself says comes on standard *output*, in UTF-16 unless told
otherwise, with exit status 4294967295 (255 seen from inside WSL); see `decode` and `explain`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from personaplex_provision.agent.record import replace
from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import Connection, Executor, unreachable
from personaplex_provision.executors.local import ProcessStream, start_process

COLD_START = 60.0
"Seconds that a stopped distribution may need to answer."
PLACES = ("/mnt/c/Program Files/WSL/wsl.exe", "/mnt/c/Windows/System32/wsl.exe")
DISTRIBUTION = re.compile(r"[A-Za-z0-9._-]{1,256}")
WORD = re.compile(r"[A-Za-z0-9_./+-]+")
"What users and interpreters may be called: wsl.exe cuts names at blanks and understands no quotes there."

_OFF = ("virtualization is off on this Windows", "turn it on in the firmware and in Windows")
_FAILED = ("wsl.exe failed", "`wsl --status` on Windows says more")
_CODES = {
    "WSL_E_DISTRO_NOT_FOUND": ("there is no such distribution for this Windows user",
                               "check wsl_distribution against `wsl -l -q`; every Windows user has their own"),
    "WSL_E_DEFAULT_DISTRO_NOT_FOUND": ("no distribution is installed for this Windows user",
                                       "`wsl --install -d Ubuntu`"),
    "WSL_E_USER_NOT_FOUND": ("there is no such user in the distribution", "correct wsl_user"),
    "WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED": ("WSL does not run for the SYSTEM account",
                                         "connect as the Windows user who owns the distribution"),
    "WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED": ("the Virtual Machine Platform of Windows is off",
                                                "turn it on: `wsl --install --no-distribution`, then restart Windows"),
    "WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED": ("WSL is not installed on this Windows", "`wsl --install`"),
    "WSL_E_DISK_CORRUPTED": ("the distribution's disk is damaged", "do not export over an old backup; restore one"),
    "WSL_E_VM_CRASHED": ("WSL's virtual machine crashed", "`wsl --shutdown`, then try again"),
    "HCS_E_HYPERV_NOT_INSTALLED": _OFF,
    "HCS_E_SERVICE_NOT_AVAILABLE": _OFF,
    "E_ILLEGAL_STATE_CHANGE": ("the distribution is being exported, installed or removed",
                               "wait for that; after a killed export restart the service WslService"),
    "ERROR_SHARING_VIOLATION": ("the distribution's disk is in use", "`wsl --shutdown`, then try again"),
}


def open_wsl(connection: Connection) -> Executor:
    """The executor for a distribution here, or behind a Windows ssh server. Raises UnreachableError."""
    _check(connection)
    patient = replace(connection, timeout=max(connection.timeout, COLD_START))
    if not connection.remote_wsl:
        return WslExecutor(patient)
    from personaplex_provision.executors.ssh import SshExecutor

    executor = SshExecutor(connection, lambda argv: remote_command(connection, argv))
    executor.connection = patient
    executor.user = inside_user(connection)
    return executor


class WslExecutor:
    """Commands in a distribution of this machine: run on Windows, or inside WSL."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.user = inside_user(connection)
        self.program = shutil.which("wsl.exe") or next((one for one in PLACES if os.path.exists(one)), "wsl.exe")

    def open(self, argv: Sequence[str], stdin_first: bytes = b"") -> ProcessStream:
        environment = {**os.environ, "WSL_UTF8": "1"}
        # Seen from inside WSL, only what this names crosses over to Windows.
        environment["WSLENV"] = ":".join(filter(None, (os.environ.get("WSLENV", ""), "WSL_UTF8")))
        words = [self.program, *_arguments(self.connection), *argv]
        return start_process(words, self.connection, stdin_first, environment)

    def close(self) -> None:
        """Nothing is held."""


def inside_user(connection: Connection) -> str:
    """Who commands run as in the distribution; empty for its default user. wsl.exe asks nobody for a password."""
    return connection.become_user if connection.become else connection.wsl_user


def remote_command(connection: Connection, argv: Sequence[str]) -> str:
    """The command's text for the shell of a Windows ssh server."""
    text = subprocess.list2cmdline(["wsl.exe", *_arguments(connection), *argv])
    if connection.wsl_shell == "powershell":
        # Without `exit` PowerShell makes every status 0 or 1.
        return f"$env:WSL_UTF8='1'; {text}; exit $LASTEXITCODE"
    return f"set WSL_UTF8=1&& {text}"  # a blank before && would become a part of the value


def decode(data: bytes) -> str:
    """The text of what wsl.exe printed, whatever its encoding, with plain line ends."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    elif b"\0" in data:
        text = data.decode("utf-16-le", "replace")
    else:
        text = data.decode("utf-8", "replace")
    return re.sub("\r+\n", "\n", text).strip()


def explain(where: str, printed: str, status: int | None) -> UnreachableError | None:
    """What an error of wsl.exe means; None when what was printed is none.

    The text is in the language of Windows, the code after it is not.
    """
    code = re.search(r"\b(Wsl(?:/\w+)+)\s*$", printed, re.MULTILINE)
    if code:
        summary, hint = _CODES.get(code[1].rpartition("/")[2], _FAILED)
        return unreachable(f"{where}: {summary}", printed, hint)
    if "cannot be accessed by the system" in printed:
        return unreachable(f"{where}: this version of WSL does not run in an ssh session", printed,
                           "update it to 2.0 or newer: `wsl --update`")
    if status in (4294967295, -1):
        return unreachable(f"{where}: {_FAILED[0]}", printed, _FAILED[1])
    return None


def _arguments(connection: Connection) -> list[str]:
    user = inside_user(connection)
    distribution = ["-d", connection.wsl_distribution] if connection.wsl_distribution else []
    # Its working directory would else be wherever Windows is, which may not exist here.
    return [*distribution, *(["-u", user] if user else []), "--cd", "/", "-e"]


def _check(connection: Connection) -> None:
    """Refuses names that would not arrive as they are."""
    checks = (
        ("wsl_distribution", connection.wsl_distribution, DISTRIBUTION),
        ("wsl_user", inside_user(connection), WORD),
        ("ansible_python_interpreter", connection.python, WORD),
    )
    for name, value, form in checks:
        if value and not form.fullmatch(value):
            raise unreachable(f'{connection.name}: {name} "{value}" cannot be passed through wsl.exe',
                              hint="letters, digits and ._- only")
