"""The workload as a pyinfra deploy. pyinfra runs this file itself, with the workload's folder on its path."""

from io import StringIO

import workload
from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.operations import apt, files, server, systemd

for path in workload.DIRECTORIES:
    files.directory(path=path, mode="755")
for path, text in workload.FILES:
    files.put(src=StringIO(text), dest=path, mode="644")
for start, line in workload.LINES:
    files.line(path=f"{workload.PLACE}/lines", line=f"^{start}.*$", replace=line)
for number, path in workload.TEMPLATES:
    files.template(src="templates/bench.j2", dest=path, mode="644", number=number, inventory_hostname=host.name,
                   jinja_env_kwargs={"trim_blocks": True})
server.group(group=workload.GROUP[0], gid=workload.GROUP[1])
for name, uid in workload.USERS:
    server.user(user=name, uid=uid, group=workload.GROUP[0], shell="/bin/sh", comment=name, ensure_home=False)
for path, target in workload.LINKS:
    files.link(path=path, target=target)
apt.packages(packages=list(workload.PACKAGES))
files.put(src=StringIO(workload.UNIT), dest=workload.UNIT_PATH, mode="644")
systemd.service(service="bench.service", running=True, enabled=True)
for option, value in workload.OPTIONS:
    files.line(path=workload.INI, line=f"^{option} = .*$", replace=f"{option} = {value}")
for path in workload.MADE:
    if not host.get_fact(File, path=path):
        server.shell(commands=f"touch {path}")
files.put(src=StringIO(workload.CRON), dest="/etc/cron.d/bench", mode="644")
