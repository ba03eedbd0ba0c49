"""Examples of the kinds `systemd_service`, `systemd` and `service`."""

from tests.laws.case import Case

_UNIT = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target lab.target\nAlias=zed.service\n"
_WRITE = ["sh", "-c", f"printf '%s' '{_UNIT}' > /etc/systemd/system/nap.service && systemctl daemon-reload"]

CASES = [
    Case(
        "systemd_service", "started and enabled", {"name": "nap", "state": "started", "enabled": True},
        [_WRITE], lab=True,
    ),
    Case(
        "systemd_service", "stopped and disabled", {"name": "nap", "state": "stopped", "enabled": False},
        [_WRITE, ["systemctl", "enable", "--now", "nap"]], lab=True,
    ),
    Case("systemd", "masked", {"name": "apt-daily.timer", "masked": True, "state": "stopped"}, lab=True),
    Case(
        "systemd", "unmasked", {"name": "apt-daily.timer", "masked": False},
        [["systemctl", "mask", "apt-daily.timer"]], lab=True,
    ),
    Case("service", "running already", {"name": "ssh", "state": "started", "enabled": True}, lab=True, changes=False),
    Case("service", "disabled with its alias", {"name": "ssh", "enabled": False}, lab=True),
]
