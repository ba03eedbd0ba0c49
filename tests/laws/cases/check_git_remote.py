"""Cases of the `check_git_remote` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "check_git_remote", "a repository on this machine",
        {"repo": "{dir}/r", "commit": {"matches": "^[0-9a-f]{40}$"}},
        setup=[["git", "init", "-q", "{dir}/r"],
               ["git", "-C", "{dir}/r", "-c", "user.name=n", "-c", "user.email=n@example.invalid", "commit", "-q",
                "--allow-empty", "-m", "first"]], changes=False,
    ),
]
