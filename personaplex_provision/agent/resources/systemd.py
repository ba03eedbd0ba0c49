"""The `systemd` kind: `systemd_service` under Ansible's older name."""

from __future__ import annotations

from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resources.systemd_service import SystemdService

EXAMPLE = """
- name: cron runs
  systemd:
    name: cron
    state: started
    enabled: true
"""


@dataclass
class Systemd(SystemdService):
    """A systemd unit; the same as `systemd_service`, which see."""

    kind = "systemd"
