"""The `check_uri` kind."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any, Dict, Iterator, Literal

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resources._check import Check, Matcher, require_positive
from personaplex_provision.agent.resources._http import Request, ask, failure, is_here, shown

EXAMPLE = """
- name: the package index answers
  check_uri:
    url: https://packages.lab.example/simple/
    status: 200
    seconds: {lt: 5}
"""
_KEPT = 1 << 20


@dataclass
class CheckUri(Check):
    """What an http or https address answers to a request that only reads. Redirects are followed, proxies used."""

    kind = "check_uri"
    free_form = "url"
    matched = ("status", "body", "json", "content_type", "seconds")

    url: str
    "The address."
    method: Literal["GET", "HEAD"] = "GET"
    "What is asked."
    headers: Dict[str, str] = field(default_factory=dict)
    "Headers of the request; a token may be a secret."
    ca_path: str | None = None
    "File with the certificates to trust; those of the host when left out."
    validate_certs: bool = True
    "Whether the server's certificate must be trusted."
    use_proxy: bool = True
    "Whether the proxy of the environment is used."
    timeout: float = 30.0
    "Seconds without an answer after which the server is given up."
    status: Matcher | None = field(default_factory=lambda: {"equals": 200})
    "The HTTP status."
    body: Matcher | None = None
    "The text of the answer, its first MiB."
    json: Matcher | None = None
    "The answer read as JSON; `equals` compares the whole of it, `contains` a member."
    content_type: Matcher | None = None
    "The Content-Type header."
    seconds: Matcher | None = None
    "How long the whole answer took."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if not self.url.startswith(("http://", "https://")):
            yield f"url must be an http or https address, and is {shown(self.url)}"

    def elsewhere(self) -> bool:
        return not is_here(self.url)

    def title(self) -> str:
        return shown(self.url)

    def look(self, host: Host) -> Dict[str, Any]:
        request = Request(
            self.url, self.method, dict(self.headers), timeout=self.timeout, validate_certs=self.validate_certs,
            ca_path=host.expand(self.ca_path) if self.ca_path else "", use_proxy=self.use_proxy, tries=1,
        )
        began = time.monotonic()
        with ask(request, host) as response:
            try:
                body = response.read(_KEPT << 6)[:_KEPT]
            except (OSError, http.client.HTTPException) as error:
                raise failure(request, error) from None
        found: Dict[str, Any] = {
            "status": response.status, "seconds": round(time.monotonic() - began, 3),
            "content_type": response.headers.get("content-type", ""), "body": body.decode("utf-8", "replace"),
        }
        if self.json is not None:
            try:
                found["json"] = json.loads(found["body"])
            except ValueError:
                found["json"] = None
        return found

    def result(self, now: Any, after: Any, host: Host) -> Dict[str, Any]:
        return {name: value for name, value in super().result(now, after, host).items() if name not in ("body", "json")}
