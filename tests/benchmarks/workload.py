"""The playbook that is measured: 184 small resources of the kinds that real playbooks are made of, one task each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PLACE = "/srv/bench"
PACKAGES = (
    "adduser", "apt", "bash", "ca-certificates", "coreutils", "dbus", "openssh-server", "procps", "python3", "sudo",
)  # fmt: skip
UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
TEMPLATE = "# {{ ansible_hostname }}\n{{ number }}\n{% for one in range(number) %}\nitem {{ one }}\n{% endfor %}\n"


def tasks() -> list[dict[str, Any]]:
    """The tasks, each of one resource."""
    found: list[dict[str, Any]] = []

    def add(title: str, kind: str, /, **params: Any) -> None:
        words = params.pop("words", {})
        found.append({"name": title, kind: params, **words})

    for n in range(20):
        add(f"directory {n}", "file", path=f"{PLACE}/d{n:02}", state="directory", mode="0755")
    for n in range(100):
        path = f"{PLACE}/d{n % 20:02}/file{n:03}.conf"
        add(f"file {n}", "copy", dest=path, content=f"# file {n}\nsetting = {n}\n", mode="0644")
    for n in range(20):
        add(f"line {n}", "lineinfile", path=f"{PLACE}/lines", regexp=f"^key{n} ", line=f"key{n} = {n}", create=True)
    for n in range(10):
        add(f"template {n}", "template", src=f"t{n}.j2", dest=f"{PLACE}/t{n}.conf", words={"vars": {"number": n}})
    add("group", "group", name="bench", gid=2600)
    for n in range(5):
        add(f"user {n}", "user", name=f"bench{n}", uid=2600 + n, group="bench", shell="/bin/sh", comment=f"bench {n}")
    for n in range(5):
        add(f"link {n}", "file", src=f"{PLACE}/d{n:02}", dest=f"{PLACE}/l{n}", state="link")
    for name in PACKAGES:
        add(f"package {name}", "apt", name=name, state="present")
    add("unit", "copy", dest="/etc/systemd/system/bench.service", content=UNIT, mode="0644")
    add("service", "systemd_service", name="bench.service", state="started", enabled=True, daemon_reload=False)
    for n in range(5):
        add(f"option {n}", "ini_file", path=f"{PLACE}/bench.ini", section="bench", option=f"o{n}", value=str(n))
    for n in range(5):
        add(f"command {n}", "command", cmd=f"touch {PLACE}/made{n}", creates=f"{PLACE}/made{n}")
    add("cron", "cron", name="bench", job="true", hour="3", cron_file="bench", user="root")
    return found


def write(folder: Path) -> Path:
    """Writes the playbook and its templates into a directory; returns the playbook."""
    (folder / "templates").mkdir(parents=True)
    for n in range(10):
        (folder / "templates" / f"t{n}.j2").write_text(TEMPLATE)
    play = {"name": "bench", "hosts": "all", "tasks": tasks()}
    path = folder / "bench.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    return path


