"""systemd asked by its own socket answers what systemctl prints, for units of every state and on every version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import personaplex_provision
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

SERVICE = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\nAlias=other-name.service\n"
FILES = {
    "runs.service": SERVICE,
    "runs.service.d/more.conf": "[Service]\nEnvironment=A=b\n",
    "off.service": SERVICE.replace("other-name", "a-third"),
    "static.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "fails.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/false\n",
    "wrong.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\n",
    "again@.service": SERVICE.replace("Alias=other-name.service\n", ""),
    "waits.socket": "[Socket]\nListenStream=/run/waits\n",
    "waits.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "3-_x\\x2dy.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "stale.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "slow.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n",
}
UNITS = [
    *(name for name in FILES if "/" not in name and "@" not in name), "other-name.service", "again@one.service",
    "again@a\\x2db.service", "again@.service", "not-there.service", "not-there@x.service", "masked.service",
    "ssh.service", "cron.service", "multi-user.target", "-.mount", "tmp.mount", "system.slice", "init.scope",
    "dbus.socket", "apt-daily.timer", "not a name.service", "dev-null.device",
]
BEGIN = """
import json, os, sys
sys.path.insert(0, "/srv/agent")
from personaplex_provision.agent.manager import Manager
from personaplex_provision.agent.resources._units import _ASKED
manager = Manager()
"""
ASK = BEGIN + """
units = json.loads(sys.stdin.read())
said = {one: [manager.show(one, _ASKED), manager.cat(one)] for one in units}
json.dump([_ASKED, said, manager.stale()], sys.stdout)
"""
ASK_AGAIN = BEGIN + """
first = manager.show("ssh.service", _ASKED)
os.system("systemctl daemon-reexec")
json.dump([first, manager.show("ssh.service", _ASKED)], sys.stdout)
"""


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_the_manager_says_what_systemctl_prints(lab_host_for: Callable[[str], LabHost], suite: str) -> None:
    host = lab_host_for(suite)
    _prepare(host)
    done = host.enter(["python3", "-c", ASK], input=json.dumps(UNITS))
    asked, said, stale = json.loads(done.stdout)
    option = f"--property={','.join(asked)}"
    answered = []
    for unit in UNITS:
        shown, text = said[unit]
        theirs = host.enter(["systemctl", "show", option, "--", unit], check=False)
        if shown is not None:
            assert (unit, _lines(shown), 0) == (unit, _lines(theirs.stdout), theirs.returncode)
            answered.append(unit)
        if text is not None:
            assert (unit, text) == (unit, host.enter(["systemctl", "cat", "--", unit]).stdout)
    assert set(UNITS) - set(answered) == {"again@.service", "not a name.service"}
    assert said["runs.service"][1] is not None and "A=b" in said["runs.service"][1]
    assert [said[one][1] for one in ("masked.service", "not-there.service", "stale.service")] == [None, None, None]
    everything = host.enter(["systemctl", "show", "*", "--property=NeedDaemonReload", "--all"]).stdout
    assert ("NeedDaemonReload=yes" in stale) == ("NeedDaemonReload=yes" in everything)


def test_a_manager_that_was_started_anew_is_asked_over_a_new_connection(lab_host: LabHost) -> None:
    _prepare(lab_host)
    first, again = json.loads(lab_host.enter(["python3", "-c", ASK_AGAIN]).stdout)
    assert first == again and "ActiveState=active" in first


def _prepare(host: LabHost) -> None:
    source = Path(personaplex_provision.__file__).parent
    target = host.root / "srv/agent/personaplex_provision"
    shutil.copytree(source / "agent", target / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "__init__.py", target)
    for name, text in FILES.items():
        path = host.root / "etc/systemd/system" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    host.enter(["systemctl", "daemon-reload"])
    host.enter(["systemctl", "mask", "masked.service"])
    host.enter(["systemctl", "enable", "--now", "runs.service", "again@one.service"])
    host.enter(["systemctl", "start", "stale.service", "waits.socket"])
    host.enter(["systemctl", "start", "--no-block", "slow.service"])
    host.enter(["systemctl", "start", "fails.service"], check=False)
    with (host.root / "etc/systemd/system/stale.service").open("a") as file:
        file.write("# changed\n")


def _lines(text: str) -> list[str]:
    return sorted(text.splitlines())
