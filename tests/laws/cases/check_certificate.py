"""Cases of the `check_certificate` kind."""

from __future__ import annotations

from tests.laws.case import Case

CASES = [
    Case(
        "check_certificate", "a pair",
        {"path": "{dir}/c.pem", "key": "{dir}/k.pem", "names": {"contains": "localhost"}, "days_left": {"ge": 5}},
        setup=[["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "9", "-keyout", "{dir}/k.pem", "-out", "{dir}/c.pem", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]], changes=False,
    ),
]
