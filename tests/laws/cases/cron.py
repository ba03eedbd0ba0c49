"""Cases of the `cron` kind."""

from __future__ import annotations

from tests.laws.case import Case

_FILE = ["sh", "-c", "printf 'MAILTO=root\\n#Ansible: old\\n1 2 * * * root true\\n' > {dir}/tab"]
_IN_FILE = {"cron_file": "{dir}/tab", "user": "root"}
_CRON = [["apt-get", "install", "-y", "-q", "cron"]]

CASES = [
    Case("cron", "new file", {**_IN_FILE, "name": "job", "job": "true", "special_time": "daily"}),
    Case("cron", "another job", {**_IN_FILE, "name": "job", "job": "true", "minute": "*/5"}, setup=[_FILE]),
    Case("cron", "changed", {**_IN_FILE, "name": "old", "job": "false", "disabled": True}, setup=[_FILE]),
    Case("cron", "removed", {**_IN_FILE, "name": "old", "state": "absent"}, setup=[_FILE]),
    Case("cron", "a variable", {**_IN_FILE, "name": "MAILTO", "job": "me", "env": True}, setup=[_FILE]),
    Case(
        "cron", "in state", {**_IN_FILE, "name": "old", "job": "true", "minute": "1", "hour": "2"},
        setup=[_FILE], changes=False,
    ),
    Case("cron", "table of a user", {"name": "job", "job": "true", "hour": "3"}, setup=_CRON, lab=True),
    Case(
        "cron", "table of another user", {"name": "job", "user": "daemon", "state": "absent"},
        setup=[*_CRON, ["sh", "-c", "printf '#Ansible: job\\n* * * * * true\\n' | crontab -u daemon -"]], lab=True,
    ),
]
