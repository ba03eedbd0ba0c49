"""Flags that several commands share. The same letter means what it means in Ansible.

Every flag that configuration may set defaults to None, so that it can be told apart from one that was given.
"""

from __future__ import annotations

import argparse

HIDDEN = argparse.SUPPRESS


def hosts(parser: argparse.ArgumentParser) -> None:
    """Which hosts there are, and which of them are meant."""
    group = parser.add_argument_group("selection")
    group.add_argument("-i", "--inventory", "--inventory-file", action="append", metavar="SOURCE",
                       help='file, folder, script or "host,host," (repeatable)')
    group.add_argument("-l", "--limit", action="append", metavar="PATTERN", help="only hosts that match, too")


def selection(parser: argparse.ArgumentParser) -> None:
    """Which tasks are meant."""
    group = parser.add_argument_group("tasks")
    group.add_argument("-t", "--tags", action="append", metavar="TAGS", help="only tasks with one of these tags")
    group.add_argument("--skip-tags", action="append", metavar="TAGS", help="no tasks with one of these tags")
    group.add_argument("--target", action="append", metavar="TASK", help="only this task or role and what it requires")


def values(parser: argparse.ArgumentParser) -> None:
    """Variables from the command line, and where roles are looked for."""
    group = parser.add_argument_group("values")
    group.add_argument("-e", "--extra-vars", action="append", metavar="VARS", help="k=v, @FILE or JSON (repeatable)")
    group.add_argument("--roles-path", action="append", metavar="DIR", help="a folder with roles (repeatable)")


def running(parser: argparse.ArgumentParser) -> None:
    """How a run goes about its hosts."""
    group = parser.add_argument_group("running")
    forks(group)
    group.add_argument("--jobs", type=_count, metavar="N", help="tasks at once in a host (default: by its processors)")
    group.add_argument("--on-failure", choices=("stop", "continue", "rollback"),
                       help="after a failure: stop, go on with what does not depend on it, or take all back")
    lock(group)
    standing(group)
    group.add_argument("--profile", action="store_true", help="say where the time went")
    group.add_argument("--shuffle", type=int, metavar="SEED", help=HIDDEN)
    group.add_argument("--fault-at", type=int, metavar="N", help=HIDDEN)


def reversible(parser: argparse.ArgumentParser) -> None:
    """`--require-reversible`, whose stricter form is a flag of its own: a value may not eat the playbook's name."""
    group = parser.add_argument_group("guards")
    group.add_argument("--require-reversible", action="store_const", const="reversible",
                       help="refuse when a step cannot be taken back, or may turn out so; best-effort passes")
    group.add_argument("--require-reversible=exact", dest="require_reversible", action="store_const", const="exact",
                       help="refuse when the way back of a step is not exact")


def standing(group: argparse._ActionsContainer) -> None:
    """What becomes of a run whose connection ends, and of steps that may end it."""
    group.add_argument("--on-disconnect", choices=("continue", "stop"),
                       help="a run whose connection ends goes on (default), or stops at the next step boundary")
    group.add_argument("--reconnect-timeout", type=seconds, metavar="SECONDS",
                       help="try so long to come back to a run (default 300)")
    group.add_argument("--heartbeat", type=seconds, metavar="SECONDS",
                       help="time between signs of life; four missing mean a dead connection (default 5)")
    group.add_argument("--confirm", choices=("auto", "manual", "off"),
                       help="who confirms over a new connection what can cut it (default auto)")
    group.add_argument("--confirm-timeout", type=seconds, metavar="SECONDS",
                       help="the host takes back what is not confirmed so long (default 120)")


def forks(group: argparse._ActionsContainer) -> None:
    """`-f`."""
    group.add_argument("-f", "--forks", type=_count, metavar="N", help="hosts at once (default 50)")


def lock(group: argparse._ActionsContainer) -> None:
    """`--lock-timeout`."""
    group.add_argument("--lock-timeout", type=seconds, metavar="SECONDS",
                       help="wait so long for a host that another run holds")


def link(parser: argparse.ArgumentParser) -> None:
    """Privilege and connection."""
    group = parser.add_argument_group("privilege and connection")
    group.add_argument("-b", "--become", action="store_const", const=True, help="become root (or --become-user)")
    group.add_argument("--become-user", metavar="USER", help="whom to become (default root)")
    group.add_argument("--become-method", metavar="METHOD", help="how (sudo)")
    group.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the password that becoming needs")
    group.add_argument("-u", "--user", metavar="USER", help="whom to connect as")
    group.add_argument("-k", "--ask-pass", action="store_true", help="ask for the connection's password")
    group.add_argument("-c", "--connection", metavar="KIND", help="ssh, local, wsl, docker, podman, chroot or nspawn")
    group.add_argument("--private-key", "--key-file", metavar="FILE", help="key for ssh")
    group.add_argument("--accept-new-host-key", action="store_const", const=True,
                       help="remember the key of a host that is not known yet")
    group.add_argument("-T", "--timeout", type=seconds, metavar="SECONDS", help="time to reach a host in (default 10)")
    group.add_argument("--install-python", action="store_const", const=True,
                       help="install python3 on a host that has none")


def secrets(parser: argparse.ArgumentParser) -> None:
    """Vault passwords."""
    group = parser.add_argument_group("secrets")
    group.add_argument("--vault-id", action="append", metavar="ID", help="label@prompt, label@FILE or label@PROGRAM")
    group.add_argument("--vault-password-file", "--vault-pass-file", action="append", metavar="FILE")
    group.add_argument("-J", "--ask-vault-password", "--ask-vault-pass", dest="ask_vault_password", action="store_true",
                       help="ask for the vault password")


def output(parser: argparse.ArgumentParser) -> None:
    """How much is said, and in which form."""
    group = parser.add_argument_group("output")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more (-vv: everything)")
    group.add_argument("-q", "--quiet", action="store_true", help="say only what failed")
    group.add_argument("--json", action="store_true", help="JSON on standard output")
    group.add_argument("--no-color", "--no-colour", dest="no_color", action="store_true", help="no escape codes")


def everything(parser: argparse.ArgumentParser) -> None:
    """All flags of a command that runs a playbook."""
    for add in (hosts, selection, values, running, link, secrets, output):
        add(parser)


def asking(parser: argparse.ArgumentParser) -> None:
    """All flags of a command that connects to hosts and needs no playbook."""
    hosts(parser)
    forks(parser)
    for add in (values, link, secrets, output):
        add(parser)


def project(parser: argparse.ArgumentParser) -> None:
    """All flags of a command that reads the inventory and connects to nothing."""
    for add in (hosts, values, secrets, output):
        add(parser)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return number


def seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError("it must be a number of seconds")
    return number
