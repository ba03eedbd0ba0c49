"""The `check_hub_gate` kind."""

from __future__ import annotations

from typing import Any, Dict, Iterator
from urllib.parse import quote

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, require_positive
from personaplex_provision.agent.resources._http import Request, ask, is_here
from personaplex_provision.agent.values import Secret

EXAMPLE = """
- name: the model may be downloaded
  check_hub_gate:
    repo: nvidia/personaplex-7b-v1
    token: "{{ huggingface_token }}"
"""


@dataclass
class CheckHubGate(Check):
    """Whether a file of a gated model may be downloaded, asked for as the hub's client asks, and if not, why not.

    A model's page is public and a token may be valid without it: only the file itself tells. Nothing is downloaded.
    """

    kind = "check_hub_gate"
    matched = ("access",)

    repo: str
    "The model, `owner/name`."
    file: str = "config.json"
    "The file that is asked for."
    revision: str = "main"
    "Branch, tag or commit."
    endpoint: str = "https://huggingface.co"
    "The hub, or a mirror of it."
    token: Secret | None = None
    "The token."
    timeout: float = 30.0
    "Seconds without an answer after which the hub is given up."
    access: Matcher | None = field(default_factory=lambda: {"equals": "granted"})
    "`granted`, `no token`, `bad token`, `licence not accepted` or `no such file`."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("timeout", self.timeout)
        if self.repo.count("/") != 1:
            yield "repo is owner/name"

    def elsewhere(self) -> bool:
        return not is_here(self.endpoint)

    def title(self) -> str:
        return f"{self.file} of {self.repo}"

    def look(self, host: Host) -> Dict[str, Any]:
        url = f"{self.endpoint.rstrip('/')}/{self.repo}/resolve/{quote(self.revision)}/{quote(self.file)}"
        token = self.token.reveal().strip() if self.token else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = Request(url, "HEAD", headers, timeout=self.timeout, follow="none", tries=2)
        with ask(request, host) as response:
            status = response.status
        return {"status": status, "access": self._access(status, bool(token))}

    def _access(self, status: int, token: bool) -> str:
        if status < 400:
            return "granted"
        if status == 401:
            return "bad token" if token else "no token"
        if status == 403:
            return "licence not accepted"
        if status == 404:
            return "no such file"
        raise ResourceError(f"{self.endpoint} answered {status} for {self.file} of {self.repo}")

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        page = f"{self.endpoint.rstrip('/')}/{self.repo}"
        return {
            "no token": "make a token that may read gated repositories, and give it",
            "bad token": "the hub does not know the token: it is mistyped, expired or revoked; make a new one",
            "licence not accepted": f"accept the licence on {page} with the token's account; "
                                    "a fine-grained token must also be allowed to read gated repositories",
            "no such file": "check repo, file and revision",
        }.get(found["access"], "")
