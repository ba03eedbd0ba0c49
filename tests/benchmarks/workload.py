"""The state that is measured: 184 small resources of the kinds that real playbooks are made of.

Said once as plain values; each tool's own spelling of it stands beside: ours here, one task each, the floor's in
`floor_target.py`, those of the peers in `peers/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PLACE = "/srv/bench"
INI = "/etc/bench.ini"
"A file that is there before, with a section that options are added to."
INI_BEFORE = "[bench]\n"
PACKAGES = (
    "adduser", "apt", "bash", "ca-certificates", "coreutils", "dbus", "openssh-server", "procps", "python3", "sudo",
)  # fmt: skip
UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
UNIT_PATH = "/etc/systemd/system/bench.service"
TEMPLATE = (
    "# {{ bench_host | default(inventory_hostname) }}\n{{ number }}\n"
    "{% for one in range(number) %}\nitem {{ one }}\n{% endfor %}\n"
)
"`bench_host`: many simulated hosts share one machine, and so its state."
CRON = "#Ansible: bench\n* 3 * * * root true\n"

DIRECTORIES = [f"{PLACE}/d{n:02}" for n in range(20)]
FILES = [(f"{PLACE}/d{n % 20:02}/file{n:03}.conf", f"# file {n}\nsetting = {n}\n") for n in range(100)]
LINES = [(f"key{n} ", f"key{n} = {n}") for n in range(20)]
"What each line begins with, and the line."
TEMPLATES = [(n, f"{PLACE}/t{n}.conf") for n in range(10)]
USERS = [(f"bench{n}", 2600 + n) for n in range(5)]
GROUP = ("bench", 2600)
LINKS = [(f"{PLACE}/l{n}", f"{PLACE}/d{n:02}") for n in range(5)]
OPTIONS = [(f"o{n}", str(n)) for n in range(5)]
MADE = [f"{PLACE}/made{n}" for n in range(5)]
"What a command makes when it is not there."


def tasks() -> list[dict[str, Any]]:
    """Our tasks, each of one resource."""
    found: list[dict[str, Any]] = []

    def add(title: str, kind: str, /, **params: Any) -> None:
        words = params.pop("words", {})
        found.append({"name": title, kind: params, **words})

    for path in DIRECTORIES:
        add(f"directory {path}", "file", path=path, state="directory", mode="0755")
    for path, text in FILES:
        add(f"file {path}", "copy", dest=path, content=text, mode="0644")
    for start, line in LINES:
        add(f"line {line}", "lineinfile", path=f"{PLACE}/lines", regexp=f"^{start}", line=line, create=True,
            mode="0644")
    for number, path in TEMPLATES:
        add(f"template {number}", "template", src="bench.j2", dest=path, mode="0644",
            words={"vars": {"number": number}})
    add("group", "group", name=GROUP[0], gid=GROUP[1])
    for name, uid in USERS:
        add(f"user {name}", "user", name=name, uid=uid, group="bench", shell="/bin/sh", comment=name,
            create_home=False)
    for path, target in LINKS:
        add(f"link {path}", "file", src=target, dest=path, state="link")
    for name in PACKAGES:
        add(f"package {name}", "apt", name=name, state="present")
    add("unit", "copy", dest=UNIT_PATH, content=UNIT, mode="0644")
    add("service", "systemd_service", name="bench.service", state="started", enabled=True, daemon_reload=False)
    for option, value in OPTIONS:
        add(f"option {option}", "ini_file", path=INI, section="bench", option=option, value=value, mode="0644")
    for path in MADE:
        add(f"command {path}", "command", argv=["touch", path], creates=path)
    add("cron", "cron", name="bench", job="true", hour="3", cron_file="bench", user="root")
    return found


def write(folder: Path) -> Path:
    """Writes our playbook and its template into a directory; returns the playbook."""
    import yaml  # here: pyinfra reads this file in an environment of its own

    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "templates" / "bench.j2").write_text(TEMPLATE)
    play = {"name": "bench", "hosts": "all", "tasks": tasks()}
    path = folder / "bench.yml"
    path.write_text(yaml.safe_dump([play], sort_keys=False))
    return path
