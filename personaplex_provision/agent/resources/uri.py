"""The `uri` kind."""

from __future__ import annotations

import http.client
import json
import os
import urllib.parse
from typing import Any, Dict, Iterator, List, Literal, Optional, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.overlay import PlanningHost
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, Unpredictable, observed
from personaplex_provision.agent.resources._attributes import (
    apply_attributes,
    born_mode,
    check_mode,
    need_parent,
    path_needs,
)
from personaplex_provision.agent.resources._http import Request, Response, ask, failure, is_here, shown
from personaplex_provision.agent.values import Secret

EXAMPLE = """
- name: PersonaPlex answers
  uri:
    url: https://localhost:8998/
    ca_path: /opt/personaplex/tls/cert.pem
    return_content: true
  register: page
  until: page.status == 200
  retries: 30
"""
_KEPT = 1 << 20
"""Bytes of an answer that a result keeps."""


class _OnlyReads:
    """`probe` of a request: GET and HEAD that write no file only read, and so run while planning."""

    def __get__(self, instance: Any, owner: Any) -> bool:
        return instance is not None and instance.only_reads()


@dataclass
class Uri(Resource):
    """A request to an http or https address.

    GET and HEAD only read: they run while planning too, unless what answers may be changed by an earlier task. Every
    other method is an action on somebody else's state, which nothing here can take back; with `creates` it happens
    only once. An answer with another status than `status_code` is a failure.
    """

    kind = "uri"
    reversible = "irreversible"
    reversible_why = (
        "GET, HEAD and OPTIONS change nothing and their `dest` comes back as it was: exact. Any other method acts on "
        "somebody else's state, which nothing here can take back: irreversible."
    )
    probe = _OnlyReads()
    readable = False
    fleeting = ("answer",)
    identity = ()
    aliases = {"user": "url_username", "username": "url_username", "password": "url_password"}

    url: str
    "The address."
    method: str = "GET"
    "The HTTP method."
    body: Any | None = None
    "What is sent: text, or with `body_format` a mapping or list."
    body_format: Literal["raw", "json", "form-urlencoded"] = "raw"
    "How `body` is written."
    headers: Dict[str, str] = field(default_factory=dict)
    "Headers of the request; a token may be a secret."
    status_code: List[int] = field(default_factory=lambda: [200])
    "Statuses that are right."
    return_content: bool = False
    "Whether the result holds the answer's text as `content`."
    dest: str | None = None
    "File on the target that the answer is written to."
    creates: str | None = None
    "A path that tells, when it is there, that nothing is asked."
    removes: str | None = None
    "A path that tells, when it is not there, that nothing is asked."
    timeout: float = 30.0
    "Seconds without an answer after which the server is given up."
    follow_redirects: Literal["all", "safe", "none", "urllib2", "yes", "no"] = "safe"
    "Which redirects are followed: all, those of GET and HEAD, none."
    validate_certs: bool = True
    "Whether the server's certificate must be trusted."
    ca_path: str | None = None
    "File with the certificates of the authorities to trust."
    url_username: str | None = None
    "User for basic authentication."
    url_password: Secret | None = None
    "Password for basic authentication."
    force_basic_auth: bool = False
    "Whether credentials are sent at once, for servers that do not ask for them."
    use_proxy: bool = True
    "Whether the proxy of the environment is used."
    http_agent: str | None = None
    "The name this client gives itself."
    owner: str | None = None
    "User that owns `dest`, by name or number."
    group: str | None = None
    "Group that owns `dest`, by name or number."
    mode: str | None = None
    'Permission bits of `dest`: octal like "0644" or symbolic like "u=rw,g=r,o=".'
    done: bool = observed(False)
    "Whether nothing is left to do."
    answer: Dict[str, Any] | None = observed()
    "What came back."

    def only_reads(self) -> bool:
        """Whether asking changes nothing."""
        return self.method.upper() in ("GET", "HEAD", "OPTIONS") and not self.dest

    def validate(self) -> Iterator[str]:
        yield from check_mode("mode", self.mode)
        if not self.url.startswith(("http://", "https://")):
            yield f"url must be an http or https address, and is {shown(self.url)}"
        if not self.method.isalpha():
            yield f'method "{self.method}" is no HTTP method'
        if self.dest is not None and not self.dest.startswith(("/", "~")):
            yield "dest must be absolute"

    def observe(self, host: Host) -> Uri:
        now = Uri(shown(self.url))
        there = bool(self.creates) and host.stat(host.expand(self.creates or ""), follow=True).exists
        gone = bool(self.removes) and not host.stat(host.expand(self.removes or ""), follow=True).exists
        if there or gone:
            now.done = True
        elif self.only_reads():
            if isinstance(host, PlanningHost) and host.prediction and is_here(self.url):
                raise Unpredictable("what answers there may be changed by earlier tasks")
            now.answer, _ = self._ask(host)
            now.done = True
        return now

    def diff(self, now: Uri) -> List[Change]:
        return [] if now.done else [Change("request", None, f"{self.method.upper()} {shown(self.url)}")]

    def action(self, now: Uri, changes: List[Change]) -> str:
        return "run" if changes else "none"

    def reversibility(self, now: Uri | None) -> str:
        return "exact" if self.method.upper() in ("GET", "HEAD", "OPTIONS") else "irreversible"

    def converge(self, now: Uri, host: Host) -> None:
        now.answer, body = self._ask(host)
        if self.dest:
            at = self._at(host)
            need_parent(host, at)
            host.write(at, body, mode=born_mode(self.mode) if host.stat(at).type != "file" else None)
            apply_attributes(host, at, self.owner, self.group, self.mode)

    def predict(self, now: Uri, host: Host) -> None:
        if self.dest:
            host.write(self._at(host), iter(()))

    def result(self, now: Uri, after: Uri, host: Host) -> Dict[str, Any]:
        if now.answer is None:
            return {"skipped": True, "msg": "nothing is left to do"} if now.done else {}
        return {**now.answer, **({"path": self._at(host)} if self.dest else {})}

    def provides(self) -> List[Address]:
        return [("path", self.dest)] if self.dest else []

    def needs(self) -> List[Address]:
        found: List[Address] = [("path", self.ca_path)] if self.ca_path else []
        return [*found, *path_needs(self.dest, self.owner, self.group)] if self.dest else found

    def _at(self, host: Host) -> str:
        dest = host.expand(self.dest or "")
        if host.stat(dest, follow=True).type == "directory":
            return os.path.join(dest, os.path.basename(urllib.parse.urlsplit(self.url).path) or "index.html")
        return dest

    def _ask(self, host: Host) -> Tuple[Dict[str, Any], bytes]:
        """The answer as `register` sees it, and its body. Raises ResourceError for a status that is not right."""
        request = self._request()
        with ask(request, host) as response:
            try:
                body = response.read(256 << 20)
            except (OSError, http.client.HTTPException) as error:
                raise failure(request, error) from None
        found = _described(response, body, self.return_content)
        if response.status not in self.status_code:
            wanted = " or ".join(str(one) for one in self.status_code)
            summary = f"{shown(self.url)} answered {response.status} {response.reason}, not {wanted}"
            text = body[:2000].decode("utf-8", "replace")
            raise ResourceError(summary, "" if text.lstrip().startswith("<") else text, "", {**found, "msg": summary})
        return found, body

    def _request(self) -> Request:
        headers = dict(self.headers)
        kind, body = self._body()
        if kind and not any(one.lower() == "content-type" for one in headers):
            headers["Content-Type"] = kind
        if self.http_agent:
            headers["User-Agent"] = self.http_agent
        follow = {"yes": "all", "no": "none", "urllib2": "safe"}.get(self.follow_redirects, self.follow_redirects)
        return Request(
            self.url, self.method.upper(), headers, body, self.timeout, self.url_username or "",
            self.url_password.reveal() if self.url_password else "", self.force_basic_auth, self.validate_certs,
            self.ca_path or "", follow, self.use_proxy, tries=1,
        )

    def _body(self) -> Tuple[str, Optional[bytes]]:
        if self.body is None:
            return "", None
        if self.body_format == "json":
            text = self.body if isinstance(self.body, str) else json.dumps(self.body)
            return "application/json", text.encode("utf-8", "surrogateescape")
        if self.body_format == "form-urlencoded":
            text = self.body if isinstance(self.body, str) else urllib.parse.urlencode(self.body, doseq=True)
            return "application/x-www-form-urlencoded", text.encode()
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return "", text.encode("utf-8", "surrogateescape")


def _described(response: Response, body: bytes, content: bool) -> Dict[str, Any]:
    found: Dict[str, Any] = {name.replace("-", "_"): value for name, value in response.headers.items()}
    found.update(
        status=response.status, url=shown(response.url), msg=f"{response.reason or 'OK'} ({len(body)} bytes)",
        redirected=False, cookies_string="; ".join(one.split(";")[0] for one in response.cookies),
    )
    found.pop("set_cookie", None)
    if "json" in response.headers.get("content-type", ""):
        try:
            found["json"] = json.loads(body[:_KEPT].decode("utf-8"))
        except ValueError:
            found["json"] = None
    if content:
        found["content"] = body[:_KEPT].decode("utf-8", "replace")
    return found
