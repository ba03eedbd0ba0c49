"""Examples of the kind `ufw`."""

from tests.laws.case import Case

_INSTALL = ["sh", "-c", "apt-get -q update && apt-get -q -y install --no-install-recommends ufw && ufw allow 22/tcp"]
_ENABLE = ["ufw", "--force", "enable"]

CASES = [
    Case(
        "ufw", "turned on", {"state": "enabled", "policy": "reject", "logging": "medium"}, [_INSTALL],
        lab=True, kills=False,
    ),
    Case(
        "ufw", "a rule while it is on", {"rule": "allow", "port": "8998", "proto": "tcp", "from_ip": "10.0.0.0/8"},
        [_INSTALL, _ENABLE], lab=True, kills=False,
    ),
    Case("ufw", "a rule removed", {"rule": "allow", "port": "80", "delete": True}, [_INSTALL, ["ufw", "allow", "80"]],
         lab=True, kills=False),
    Case("ufw", "a rule there in other words", {"rule": "allow", "port": "22", "proto": "tcp"}, [_INSTALL], lab=True,
         changes=False, kills=False),
    Case("ufw", "turned off", {"state": "disabled"}, [_INSTALL, _ENABLE], lab=True, kills=False),
]
