"""`python -m tests.lab up`: a lab to play with, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys

from .lab import Lab, missing
from .tree import SUITES


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Disposable hosts to provision.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="boot hosts and stand-ins, print how to reach them, wait for Ctrl-C")
    up.add_argument("--suite", choices=SUITES, action="append", help="a host of this suite (repeatable)")
    up.add_argument("--user", choices=("root", "lab"), default="root", help="who logs in, in the inventory")
    arguments = parser.parse_args()
    reason = missing()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _up(arguments.suite or ["bookworm"], arguments.user)
    return 0


def _up(suites: list[str], user: str) -> None:
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab())
        hosts = [stack.enter_context(lab.host(suite)) for suite in suites]
        for host in hosts:
            print(f"{host.name:<11} {host.suite}: {shlex.join(lab.access.ssh(host.address, user))}")
            print(f"{'without ssh':<11} {shlex.join(host.entrance())}")
        print(f"inventory   {lab.inventory(hosts, user)}")
        print(f"extra vars  {lab.variables_file()}")
        print("Ctrl-C takes everything down", flush=True)
        signal.pause()


if __name__ == "__main__":
    raise SystemExit(main())
