"""Cases of the `get_url` kind; `file://` addresses need no server."""

from __future__ import annotations

from tests.laws.case import Case

_SOURCE = ["sh", "-c", "printf 'data\\n' > {dir}/src; printf 'old\\n' > {dir}/f; chmod 0640 {dir}/f"]
_SHA = "sha256:6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f"

CASES = [
    Case("get_url", "new file", {"url": "file://{dir}/src", "dest": "{dir}/new", "mode": "0600"}, setup=[_SOURCE]),
    Case(
        "get_url", "another digest", {"url": "file://{dir}/src", "dest": "{dir}/f", "checksum": _SHA}, setup=[_SOURCE],
    ),
    Case("get_url", "forced", {"url": "file://{dir}/src", "dest": "{dir}/f", "force": True}, setup=[_SOURCE]),
    Case(
        "get_url", "there already", {"url": "file://{dir}/none", "dest": "{dir}/f", "mode": "0640"},
        setup=[_SOURCE], changes=False,
    ),
    Case(
        "get_url", "into a directory", {"url": "file://{dir}/src", "dest": "{dir}/to"},
        setup=[_SOURCE, ["mkdir", "{dir}/to"]],
    ),
]
