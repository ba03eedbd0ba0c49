"""The floor: the least that bringing hosts to this state over SSH can cost in Python.

A cold paramiko connection to each host, one thread each, with TCP_NODELAY; the script and what it wants travel as the
argument of one command, so that a host costs one channel, one request and one answer.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import paramiko

from tests.benchmarks import workload


def wanted(host: str) -> dict[str, Any]:
    """The state, for the target's script."""
    templates = [
        (path, f"# {host}\n{number}\n" + "".join(f"item {one}\n" for one in range(number)))
        for number, path in workload.TEMPLATES
    ]
    return {
        "directories": workload.DIRECTORIES, "lines_path": f"{workload.PLACE}/lines", "lines": workload.LINES,
        "files": [*workload.FILES, *templates, (workload.UNIT_PATH, workload.UNIT),
                  ("/etc/cron.d/bench", workload.CRON)],
        "ini_path": workload.INI, "ini_before": workload.INI_BEFORE.splitlines(),
        "options": [(f"{name} ", f"{name} = {value}") for name, value in workload.OPTIONS],
        "group": workload.GROUP, "users": workload.USERS, "links": workload.LINKS, "packages": workload.PACKAGES,
        "made": workload.MADE,
    }


def command(host: str) -> str:
    """The whole of what is run on the host, in one argument."""
    script = Path(__file__).with_name("floor_target.py").read_text()
    code = f"{script}\nprint(main({json.dumps(wanted(host))}))\n"
    packed = base64.b64encode(zlib.compress(code.encode())).decode()
    return f'python3 -ISc "import base64,zlib;exec(zlib.decompress(base64.b64decode(\'{packed}\')))"'


def reach(address: str, host: str, key: paramiko.PKey, known: paramiko.HostKeys, changed: dict[str, int]) -> None:
    """One host from the connection to the answer."""
    sock = socket.create_connection((address, 22), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(sock)
    trusted = known[address]["ssh-ed25519"]
    transport.connect(hostkey=trusted, username="root", pkey=key)
    channel = transport.open_session()
    channel.exec_command(command(host))
    said = channel.makefile("rb").read()
    if channel.recv_exit_status() == 0:
        changed[host] = int(said)
    else:
        print(channel.makefile_stderr("rb").read().decode(), file=sys.stderr)
    transport.close()


def main(identity: str, known_hosts: str, *hosts: str) -> int:
    """0 when every host answered; `hosts` are `name=address`. Prints how many resources were changed."""
    key, known = paramiko.Ed25519Key.from_private_key_file(identity), paramiko.HostKeys(known_hosts)
    changed: dict[str, int] = {}
    threads = []
    for one in hosts:
        name, _, address = one.partition("=")
        threads.append(threading.Thread(target=reach, args=(address, name, key, known, changed)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    print(sum(changed.values()))
    return 0 if len(changed) == len(hosts) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
