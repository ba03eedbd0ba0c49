"""Cases of the `sysctl` kind."""

from __future__ import annotations

from tests.laws.case import Case

_FILE = ["sh", "-c", "printf 'vm.swappiness = 10\\n' > {dir}/s.conf"]

CASES = [
    Case(
        "sysctl", "only the file",
        {"name": "vm.swappiness", "value": "5", "sysctl_file": "{dir}/s.conf", "reload": False},
        setup=[_FILE],
    ),
    Case(
        "sysctl", "in state", {"name": "vm/swappiness", "value": "10", "sysctl_file": "{dir}/s.conf", "reload": False},
        setup=[_FILE], changes=False,
    ),
    Case(
        "sysctl", "removed", {"name": "vm.swappiness", "state": "absent", "sysctl_file": "{dir}/s.conf"}, setup=[_FILE],
    ),
    Case(
        "sysctl", "running value too",
        {"name": "net.ipv4.ip_forward", "value": "1", "sysctl_file": "/etc/sysctl.d/9.conf"},
        setup=[["sysctl", "-w", "net.ipv4.ip_forward=0"]], lab=True,
    ),
]
