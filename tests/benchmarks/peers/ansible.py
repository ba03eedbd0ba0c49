"""The workload as an Ansible playbook, in Ansible's own idiom: loops, one transaction for all packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks import workload

SETTINGS = """[defaults]
gathering = explicit
forks = 50
host_key_checking = True
interpreter_python = /usr/bin/python3
stdout_callback = default
display_ok_hosts = False
display_skipped_hosts = False
deprecation_warnings = False
local_tmp = {folder}/tmp
{strategy}
[ssh_connection]
pipelining = True
"""
MITOGEN = "strategy_plugins = {plugins}\nstrategy = mitogen_linear\n"


def tasks() -> list[dict[str, Any]]:
    """The tasks."""
    item = "{{ item[0] }}"

    def each(kind: str, loop: Any, **params: Any) -> dict[str, Any]:
        return {"name": kind, kind: params, "loop": [list(one) if isinstance(one, tuple) else one for one in loop]}

    return [
        each("file", workload.DIRECTORIES, path="{{ item }}", state="directory", mode="0755"),
        each("copy", workload.FILES, dest=item, content="{{ item[1] }}", mode="0644"),
        each("lineinfile", workload.LINES, path=f"{workload.PLACE}/lines", regexp="^{{ item[0] }}",
             line="{{ item[1] }}", create=True, mode="0644"),
        each("template", workload.TEMPLATES, src="bench.j2", dest="{{ item[1] }}", mode="0644")
        | {"vars": {"number": "{{ item[0] }}"}},
        {"name": "group", "group": {"name": workload.GROUP[0], "gid": workload.GROUP[1]}},
        each("user", workload.USERS, name=item, uid="{{ item[1] }}", group="bench", shell="/bin/sh", comment=item,
             create_home=False),
        each("file", workload.LINKS, path=item, src="{{ item[1] }}", state="link"),
        {"name": "packages", "apt": {"name": list(workload.PACKAGES), "state": "present"}},
        {"name": "unit", "copy": {"dest": workload.UNIT_PATH, "content": workload.UNIT, "mode": "0644"}},
        {"name": "service", "systemd_service": {"name": "bench.service", "state": "started", "enabled": True}},
        each("lineinfile", workload.OPTIONS, path=workload.INI, regexp="^{{ item[0] }} =",
             line="{{ item[0] }} = {{ item[1] }}", mode="0644"),
        each("command", workload.MADE, argv=["touch", "{{ item }}"], creates="{{ item }}"),
        {"name": "cron", "cron": {"name": "bench", "job": "true", "hour": "3", "cron_file": "bench", "user": "root"}},
    ]


def write(folder: Path, plugins: str = "") -> Path:
    """Writes playbook, template and settings into a directory; returns the playbook. `plugins` are mitogen's."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "templates" / "bench.j2").write_text(workload.TEMPLATE)
    strategy = MITOGEN.format(plugins=plugins) if plugins else ""
    (folder / "ansible.cfg").write_text(SETTINGS.format(folder=folder, strategy=strategy))
    path = folder / "bench.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks()}], sort_keys=False))
    return path
