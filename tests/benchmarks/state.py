"""What a host is in: read from outside, compared between tools, drifted, and put back to before."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks import workload
from tests.lab.host import LabHost

DRIFTED = workload.FILES[42][0]
_RESET = f"""
systemctl --quiet disable --now bench.service
rm -rf {workload.PLACE} {workload.UNIT_PATH} /etc/cron.d/bench /var/lib/provision /root/.ansible /tmp/pyinfra-*
for one in {" ".join(name for name, _ in workload.USERS)}; do userdel $one; done
groupdel {workload.GROUP[0]}
systemctl daemon-reload
printf %s {shlex.quote(workload.INI_BEFORE)} > {workload.INI}
chmod 0644 {workload.INI}
true
"""
_READ = f"""
import grp, json, os, pwd, subprocess
found = {{}}
paths = ["{workload.UNIT_PATH}", "{workload.INI}", "/etc/cron.d/bench"]
for top, folders, files in os.walk("{workload.PLACE}"):
    paths += [os.path.join(top, one) for one in ["."] + folders + files]
for path in paths:
    stat = os.lstat(path)
    what = os.readlink(path) if os.path.islink(path) else None if os.path.isdir(path) else open(path).read()
    found[path] = [oct(stat.st_mode), stat.st_uid, stat.st_gid, what]
found["users"] = sorted(list(one) for one in pwd.getpwall() if one.pw_name.startswith("bench"))
found["groups"] = sorted(list(one) for one in grp.getgrall() if one.gr_name.startswith("bench"))
show = ["systemctl", "show", "-p", "ActiveState,UnitFileState", "bench.service"]
found["unit"] = sorted(subprocess.run(show, capture_output=True, text=True).stdout.split())
print(json.dumps(found))
"""


def reset(hosts: Sequence[LabHost]) -> None:
    """Takes away all that the workload makes."""
    _on_each(hosts, lambda host: str(host.enter(["/bin/sh", "-c", _RESET], check=False).returncode))


def drift(hosts: Sequence[LabHost]) -> None:
    """Someone edits one of the files by hand."""
    for host in hosts:
        (host.root / DRIFTED.lstrip("/")).write_text("edited by hand\n")


def fingerprints(hosts: Sequence[LabHost]) -> dict[str, str]:
    """A digest of each host's state, as far as the workload is about it."""
    return dict(_on_each(hosts, lambda host: hashlib.sha256(text(host).encode()).hexdigest()))


def text(host: LabHost) -> str:
    """A host's state as JSON, for looking at a difference."""
    return json.dumps(json.loads(host.enter(["python3", "-c", _READ]).stdout), indent=1, sort_keys=True)


def _on_each(hosts: Sequence[LabHost], work: object) -> list[tuple[str, str]]:
    assert callable(work)
    with ThreadPoolExecutor(8) as pool:
        return list(zip([host.name for host in hosts], pool.map(work, hosts), strict=True))
