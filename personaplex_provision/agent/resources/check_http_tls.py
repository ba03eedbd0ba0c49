"""The `check_http_tls` kind."""

from __future__ import annotations

import http.client
import ssl
import time
from typing import Any, Dict, Iterator
from urllib.parse import urlsplit

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _tls
from personaplex_provision.agent.resources._check import Check, Matcher, require_positive

EXAMPLE = """
- name: the web UI answers over TLS, with its own certificate
  check_http_tls:
    url: https://localhost:8998/
    ca_path: /opt/personaplex/tls/cert.pem
    status: 200
    days_left: {ge: 7}
"""
_KEPT = 1 << 20


@dataclass
class CheckHttpTls(Check):
    """What an https address answers, and with which certificate. Plain HTTP on the port is told apart.

    No proxy is used and no redirect followed: what counts is the server at the address itself.
    """

    kind = "check_http_tls"
    free_form = "url"
    matched = ("status", "body", "content_type", "version", "names", "days_left")

    url: str
    "The address."
    ca_path: str | None = None
    "File with the certificates to trust; those of the host when left out."
    validate_certs: bool = True
    "Whether the certificate must be trusted, and be for the name in `url`."
    timeout: float = 10.0
    "Seconds without an answer after which the server is given up."
    status: Matcher | None = field(default_factory=lambda: {"equals": 200})
    "The HTTP status of a GET."
    body: Matcher | None = None
    "The text of the answer, its first MiB."
    content_type: Matcher | None = None
    "The Content-Type header."
    version: Matcher | None = None
    "Version of TLS, such as `TLSv1.3`."
    names: Matcher | None = None
    "Names and addresses the certificate is for."
    days_left: Matcher | None = None
    "Days until the certificate expires."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if not self.url.startswith("https://") or not urlsplit(self.url).hostname:
            yield f'url must begin with https:// and name a host, and is "{self.url}"'

    def title(self) -> str:
        return self.url.partition("?")[0]

    def look(self, host: Host) -> Dict[str, Any]:
        parts = urlsplit(self.url)
        name, port = parts.hostname or "", parts.port or 443
        context = _tls.context(host.expand(self.ca_path) if self.ca_path else "", self.validate_certs)
        began = time.monotonic()
        with _tls.connect(name, port, self.timeout, context) as link:
            assert isinstance(link, ssl.SSLSocket)
            found: Dict[str, Any] = {"version": link.version(), **_tls.described(link)}
            connection = http.client.HTTPConnection(name, port, timeout=self.timeout)
            connection.sock = link
            try:
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request("GET", target, headers={"User-Agent": "provision", "Connection": "close"})
                answer = connection.getresponse()
                body = answer.read(_KEPT)
            except (OSError, http.client.HTTPException) as error:
                raise ResourceError(f"{self.title()} took the connection and gave no answer", str(error),
                                    "see what the server says: its log or journal", found) from None
        found.update(
            status=answer.status, content_type=answer.headers.get("Content-Type", ""),
            body=body.decode("utf-8", "replace"), elapsed=round(time.monotonic() - began, 3),
        )
        return found

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {name: value for name, value in super().result(now, after, host).items() if name != "body"}
