"""Cases of the `authorized_key` kind."""

from __future__ import annotations

from tests.laws.case import Case

_A = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a@lab"
_B = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP////////////////////////////////////////// b@lab"
_PATH = {"user": "root", "path": "{dir}/.ssh/authorized_keys"}
_FILE = [
    ["install", "-d", "-m", "0700", "{dir}/.ssh"],
    ["sh", "-c", f"printf '# mine\\nno-pty {_B}\\n' > {{dir}}/.ssh/authorized_keys"],
]

CASES = [
    Case("authorized_key", "new", {**_PATH, "key": _A}),
    Case("authorized_key", "beside another", {**_PATH, "key": _A, "key_options": 'from="10.0.0.0/8"'}, setup=_FILE),
    Case("authorized_key", "the only one", {**_PATH, "key": _A, "exclusive": True}, setup=_FILE),
    Case("authorized_key", "removed", {**_PATH, "key": _B, "state": "absent"}, setup=_FILE),
    Case("authorized_key", "in state", {**_PATH, "key": _B}, setup=_FILE, changes=False),
    Case("authorized_key", "of a user", {"user": "games", "key": _A}, setup=[["mkdir", "-p", "/usr/games"]], lab=True),
]
