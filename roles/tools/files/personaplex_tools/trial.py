"""Starts a server of its own, beside the service, converses with it, and stops it: `trial SETTINGS [ARGUMENT…]`.

So options of the server, --cpu-offload above all, are tried without touching the service. The model is then on the card
twice, so stop the service first where the card does not hold it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

from .fault import Fault, last, settings
from .served import conversation, listens_only, web


def main() -> int:
    """0: it started, answered, conversed, and ended within 20 s of being told to."""
    with open(sys.argv[1]) as file:
        given = settings(json.load(file))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mine = replace(given, address="127.0.0.1", port=port)
    argv = [given.python, given.launcher, "127.0.0.1", "--port", str(port), "--ssl", given.tls, "--device", given.device]
    environment = {**os.environ, **_env(given.env_file), "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen([*argv, *sys.argv[2:]], stdout=log, stderr=subprocess.STDOUT, env=environment)
        try:
            _ready(server, mine.port, 600)
            web(mine)
            listens_only(mine)
            conversation(mine)
            server.send_signal(signal.SIGTERM)
            status = server.wait(20)
            if status:
                raise Fault(f"the server ended with {status} when it was told to stop")
        except (Fault, subprocess.TimeoutExpired) as error:
            server.kill()
            log.seek(0)
            print(f"{getattr(error, 'what', error)}\n  it said: {last(log.read(), 5)}", file=sys.stderr)
            return 1
    print(f"started, answered and stopped: {' '.join(sys.argv[2:]) or 'no further options'}")
    return 0


def _ready(server: subprocess.Popen[str], port: int, seconds: float) -> None:
    """Waits until something listens: what the log says comes before that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Fault(f"the server ended with {server.returncode} before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise Fault(f"the server did not listen within {seconds:.0f} s")


def _env(path: str) -> dict[str, str]:
    with open(path) as file:
        return dict(line.strip().partition("=")[::2] for line in file if "=" in line and line[0] != "#")


if __name__ == "__main__":
    sys.exit(main())
