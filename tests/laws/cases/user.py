"""Examples of the kind `user`."""

from tests.laws.case import Case

_HASH = "$6$saltsalt$" + "x" * 86

CASES = [
    Case(
        "user", "made with groups, shell and password",
        {"name": "persona", "groups": ["audio", "video"], "shell": "/bin/bash", "password": _HASH},
        lab=True,
    ),
    Case("user", "a system account deep in new directories", {
        "name": "voice", "system": True, "home": "/srv/a/b/voice", "expires": 1728000000.0,
    }, lab=True),
    Case("user", "another id, group and shell", {
        "name": "lab", "uid": 1500, "group": "users", "groups": ["video"], "append": True, "shell": "/bin/sh",
    }, lab=True),
    Case("user", "its home directory moved", {"name": "lab", "home": "/srv/lab", "move_home": True}, lab=True),
    Case("user", "its missing home directory made", {"name": "alice"}, [["useradd", "-M", "alice"]], lab=True),
    Case("user", "removed with its home directory", {"name": "lab", "state": "absent", "remove": True}, lab=True),
    Case("user", "its password locked", {"name": "pwlab", "password_lock": True}, lab=True),
    Case("user", "there already", {"name": "lab", "shell": "/bin/bash"}, lab=True, changes=False),
]
