"""Cases of the `tls_certificate` kind."""

from __future__ import annotations

from tests.laws.case import Case

_PARAMS = {
    "path": "{dir}/cert.pem", "key_path": "{dir}/key.pem", "common_name": "gpu1.lab",
    "subject_alt_names": ["DNS:localhost", "IP:127.0.0.1", "IP:::1", "gpu1.lab"],
}
_SELF_SIGNED = [
    "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "{dir}/key.pem", "-out", "{dir}/cert.pem",
]

CASES = [
    Case("tls_certificate", "new", {**_PARAMS, "mode": "0644"}),
    Case("tls_certificate", "new with RSA", {**_PARAMS, "key_type": "rsa", "key_size": 2048, "subject_alt_names": []}),
    Case(
        "tls_certificate", "about to expire", {**_PARAMS, "key_mode": "u=rw,g=r,o="},
        setup=[[*_SELF_SIGNED, "-days", "3", "-subj", "/CN=gpu1.lab"]],
    ),
    Case(
        "tls_certificate", "in state", {"path": "{dir}/cert.pem", "key_path": "{dir}/key.pem", "common_name": "a"},
        setup=[[*_SELF_SIGNED, "-days", "300", "-subj", "/CN=a", "-addext", "subjectAltName=DNS:a"]], changes=False,
    ),
    Case(
        "tls_certificate", "broken", _PARAMS,
        setup=[["cp", "/etc/hostname", "{dir}/key.pem"], ["cp", "/etc/hostname", "{dir}/cert.pem"]],
    ),
]
