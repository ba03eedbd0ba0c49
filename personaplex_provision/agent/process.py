"""Running a command: its own session, output line by line, a time limit, an identity."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import IO, Callable, Dict, List, Sequence

from personaplex_provision.agent.identity import Identity
from personaplex_provision.agent.machine import Completed
from personaplex_provision.agent.resource import ResourceError

Process = "subprocess.Popen[bytes]"
"A running command, leader of its own process group."
_KEEP = 4 << 20


def run_process(
    argv: Sequence[str],
    env: Dict[str, str],
    *,
    stdin: str = "",
    chdir: str = "",
    timeout: float = 0.0,
    identity: Identity | None = None,
    on_line: Callable[[str], None] | None = None,
    running: List[subprocess.Popen[bytes]] | None = None,
) -> Completed:
    """Runs `argv` to its end; keeps the last 4 MiB of each stream.

    Raises ResourceError when the program is not there, may not be run, or exceeds `timeout` seconds (its whole
    process group is killed then).
    """
    who = {}
    if identity is not None and identity.foreign:
        who = {"user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}
    try:
        process = subprocess.Popen(
            list(argv), env=env, cwd=chdir or None, start_new_session=True,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **who,  # type: ignore[call-overload]
        )
    except FileNotFoundError:
        if chdir and not os.path.isdir(chdir):
            raise ResourceError(f"the directory {chdir} to run in does not exist") from None
        raise ResourceError(f"the program {argv[0]} is not there", result={"rc": 127}) from None
    except (PermissionError, NotADirectoryError, OSError) as error:
        raise ResourceError(f"{argv[0]} cannot be run: {error.strerror or error}", result={"rc": 126}) from None
    if running is not None:
        running.append(process)
    out, err = _Tail(), _Tail()
    readers = [
        threading.Thread(target=_drain, args=(process.stdout, out, on_line), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, err, on_line), daemon=True),
    ]
    for reader in readers:
        reader.start()
    if stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin.encode("utf-8", "surrogateescape"))
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(timeout or None)
    except subprocess.TimeoutExpired:
        kill_group(process)
        raise ResourceError(
            f"{os.path.basename(argv[0])} did not finish within {timeout:g} seconds and was killed",
            err.text()[-2000:], "give the task a larger `timeout:`",
        ) from None
    finally:
        if running is not None and process in running:
            running.remove(process)
        # A daemon that inherited the pipes must not hold us: its output is not ours.
        for reader in readers:
            reader.join(None if process.poll() is None else 2.0)
    return Completed(tuple(argv), process.returncode, out.text(), err.text())


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a command with everything it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Tail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self.data = bytearray()

    def add(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > 2 * _KEEP:
            del self.data[:-_KEEP]

    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


def _drain(stream: IO[bytes], tail: _Tail, on_line: Callable[[str], None] | None) -> None:
    for line in iter(stream.readline, b""):
        tail.add(line)
        if on_line is not None:
            on_line(line.decode("utf-8", "replace").rstrip("\r\n"))
    stream.close()
