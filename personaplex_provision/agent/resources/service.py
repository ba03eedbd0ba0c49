"""The `service` kind: `systemd_service` under Ansible's general name."""

from __future__ import annotations

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources.systemd_service import SystemdService

EXAMPLE = """
- name: cron runs
  service:
    name: cron
    state: started
    enabled: true
"""


@dataclass
class Service(SystemdService):
    """A systemd unit; the same as `systemd_service`, which see."""

    kind = "service"
