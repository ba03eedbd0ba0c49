"""The least that anything over SSH costs: connect with paramiko and run `python3 -c pass`."""

from __future__ import annotations

import sys

import paramiko


def main(address: str, identity: str, known_hosts: str) -> int:
    """The exit status of the command."""
    client = paramiko.SSHClient()
    client.load_host_keys(known_hosts)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(address, username="root", key_filename=identity, look_for_keys=False, allow_agent=False)
    _, out, _ = client.exec_command("python3 -c pass")
    status: int = out.channel.recv_exit_status()
    client.close()
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
