"""Cases of the `uri` kind; what needs an answer is tested with a server of its own."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "uri", "done before", {"url": "http://127.0.0.1:9/", "method": "POST", "creates": "{dir}/done"},
        setup=[["touch", "{dir}/done"]], changes=False, exact=False,
    ),
]
