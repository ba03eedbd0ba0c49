"""Examples of the kind `apt`."""

from tests.laws.case import Case

_UPDATE = ["apt-get", "-q", "update"]
_TREE = ["sh", "-c", "apt-get -q update && apt-get -q -y install tree"]

CASES = [
    Case(
        "apt", "on a host without package lists", {"name": ["tree"]}, [["rm", "-r", "/var/lib/apt/lists"]],
        lab=True, kills=False,
    ),
    Case(
        "apt", "services that bring users, links and state",
        {"name": ["cron", "redis-server"], "install_recommends": False}, [_UPDATE], lab=True, kills=False,
    ),
    Case(
        "apt", "what an earlier removal left is still there after it", {"name": ["nginx-light"]},
        [_UPDATE, ["sh", "-c", "apt-get -q -y install nginx-light && apt-get -q -y remove nginx-light nginx-common"]],
        lab=True, kills=False,
    ),
    Case("apt", "removed", {"name": ["tree"], "state": "absent", "purge": True}, [_TREE], lab=True, kills=False),
    Case("apt", "there already", {"name": ["bash"], "update_cache": True}, lab=True, changes=False, kills=False),
    Case("apt", "gone already", {"name": ["tree"], "state": "absent"}, lab=True, changes=False, kills=False),
]
