"""The `check_download` kind."""

from __future__ import annotations

import http.client
import os
import time
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import urlsplit

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field, replace
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check, Matcher, require_positive
from personaplex_provision.agent.resources._http import Request, ask, is_here, need_ok, passing, shown
from personaplex_provision.agent.values import Secret

EXAMPLE = """
- name: the model comes before the day is over
  check_download:
    files:
      /srv/models/model.safetensors: https://hub.example/owner/model/resolve/main/model.safetensors
    token: "{{ huggingface_token }}"
    minutes: {le: 480}
"""
_MOST = 4 << 20
"""Bytes that a measurement fetches at the most."""


@dataclass
class CheckDownload(Check):
    """How much is to be downloaded, and how many minutes that takes at the speed its own source gives.

    The speed is measured once a run by fetching the beginning of the largest file, at most 4 MiB. What is there
    already counts for nothing, and where nothing is to be fetched nothing is asked.
    """

    kind = "check_download"
    matched = ("minutes", "gib", "mb_per_second")

    files: Dict[str, str] = field(default_factory=dict)
    "What is fetched: path -> address. A path that is there is done."
    size_gib: float | None = None
    "How much all of it is, where more comes than the addresses say."
    headers: Dict[str, str] = field(default_factory=dict)
    "Headers of the requests."
    token: Secret | None = None
    "A token that is sent as `Authorization: Bearer`."
    ca_path: str | None = None
    "File with the certificates to trust; those of the host when left out."
    seconds: float = 2.0
    "Seconds the measurement may take."
    timeout: float = 10.0
    "Seconds without an answer after which a server is given up."
    minutes: Matcher | None = None
    "Minutes it takes at that speed."
    gib: Matcher | None = None
    "How much is to be fetched, in GiB."
    mb_per_second: Matcher | None = None
    "The speed, in 1000 * 1000 bytes a second."

    def validate(self) -> Iterator[str]:
        yield from super().validate()
        yield from require_positive("seconds", self.seconds)
        yield from require_positive("timeout", self.timeout)
        for url in self.files.values():
            if not url.startswith(("http://", "https://")):
                yield f"what is fetched has an http or https address, and this is {shown(url)}"

    def elsewhere(self) -> bool:
        return not any(map(is_here, self.files.values()))

    def title(self) -> str:
        names = [os.path.basename(urlsplit(url).path) or url for url in self.files.values()]
        return names[0] if len(names) == 1 else f"the download of {len(names)} files"

    def look(self, host: Host) -> Dict[str, Any]:
        left = [url for path, url in self.files.items() if not os.path.exists(host.expand(path))]
        if not left:
            return {"gib": 0.0, "minutes": 0.0, "mb_per_second": None, "said": "nothing to download", "unasked": _SPEED}
        sizes = {url: self._size(url, host) for url in left}
        known = sum(size or 0 for size in sizes.values())
        size = self.size_gib * (1 << 30) if self.size_gib is not None else known
        largest = max(left, key=lambda url: sizes[url] or 0)
        speed = host.machine.remember(("speed", largest), lambda: self._speed(largest, host))
        assert isinstance(speed, float)
        least = "at least " * (self.size_gib is None and None in sizes.values())
        minutes = round(size / speed / 60, 1)
        return {
            "gib": round(size / (1 << 30), 2), "minutes": minutes, "mb_per_second": round(speed / 1e6, 2),
            "said": f"{least}{_gib(size)} to download, {_time(minutes)} at {speed / 1e6:.3g} MB/s "
                    f"from {urlsplit(largest).hostname}",
        }

    def advice(self, field: str, found: Dict[str, Any]) -> str:
        return "use a faster line, or a mirror nearby; a download that breaks off is taken up where it stopped"

    def _size(self, url: str, host: Host) -> Optional[int]:
        """Bytes of a file, as its server says; a hub says the size of a large one before the redirect to it."""
        with ask(replace(self._request(url), method="HEAD"), host) as response:
            need_ok(self._request(url), response)
            said = response.headers.get("x-linked-size") or response.headers.get("content-length", "")
        return int(said) if said.isdigit() else None

    def _speed(self, url: str, host: Host) -> float:
        """Bytes a second from the first byte of a file on."""
        request = self._request(url)
        headers = {**request.headers, "Range": f"bytes=0-{_MOST - 1}", "Accept-Encoding": "identity"}
        request = replace(request, headers=headers)
        with ask(request, host) as response:
            need_ok(request, response)
            began, size = time.monotonic(), 0
            try:
                for chunk in response.chunks():
                    size += len(chunk)
                    if size >= _MOST or time.monotonic() - began > self.seconds:
                        break
            except (OSError, http.client.HTTPException) as error:
                if not passing(error):
                    raise
        if not size:
            raise ResourceError(f"{shown(url)} sent nothing within {self.timeout:g} seconds")
        return size / max(time.monotonic() - began, 1e-3)

    def _request(self, url: str) -> Request:
        token = self.token.reveal().strip() if self.token else ""
        headers = {**self.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        ca_path = self.ca_path or ""
        return Request(url, "GET", headers, timeout=self.timeout, follow="all", tries=2, ca_path=ca_path)


_SPEED: List[str] = ["minutes", "gib", "mb_per_second"]


def _gib(size: float) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 28 else f"{size / (1 << 20):.1f} MiB"


def _time(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    return f"about {minutes:.0f} minutes" if minutes < 120 else f"about {minutes / 60:.1f} hours"
