"""Downloading to the state directory: resumed where it stopped, verified before anybody sees it.

The bytes go to `downloads/KEY.part`, where KEY comes from the address and the checksum. A connection that breaks is
taken up again within the same task, and a run that was killed is taken up by the next one, as long as the server can
say that the content is still the same (a checksum, an ETag or a Last-Modified). What the address held when it was last
fetched is noted in `downloads/KEY.json`, so that a later look costs one conditional request.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import re
import time
from typing import IO, Dict, Iterator, List, Optional, Tuple
from urllib.parse import unquote, urljoin, urlsplit

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, replace
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._http import Request, Response, ask, failure, need_ok, passing, shown

_CHUNK = 1 << 20
_BRIEF = 5.0
"""Seconds that a plan waits to be told a size."""
_TELL = 0.5
"""Seconds between two reports of progress."""


@dataclass(frozen=True)
class Checksum:
    """A digest by algorithm; `where` is the address of a file that holds it, instead of `hex`."""

    algorithm: str
    hex: str = ""
    where: str = ""


def parse_checksum(text: str) -> Checksum:
    """`ALGORITHM:HEX` or `ALGORITHM:URL`. Raises ValueError with a sentence."""
    algorithm, _, value = text.partition(":")
    algorithm = algorithm.strip().lower()
    if algorithm not in hashlib.algorithms_available or not value:
        raise ValueError(f'checksum "{text}" is not like sha256:DIGEST or sha256:https://…')
    if "://" in value:
        return Checksum(algorithm, where=value.strip())
    digest = value.strip().lower()
    size = hashlib.new(algorithm).digest_size * 2
    if not re.fullmatch(r"[0-9a-f]+", digest) or (size and len(digest) != size):
        raise ValueError(f"checksum: {digest} is no {algorithm} digest, which has {size} hexadecimal digits")
    return Checksum(algorithm, digest)


def resolve(checksum: Checksum, request: Request, host: Host) -> Checksum:
    """The checksum with its digest, fetched when it is named by an address. Raises ResourceError."""
    if checksum.hex:
        return checksum
    found = host.machine.remember(("checksum", checksum, request.url), lambda: _resolve(checksum, request, host))
    assert isinstance(found, Checksum)
    return found


def _resolve(checksum: Checksum, request: Request, host: Host) -> Checksum:
    asked = replace(request, url=urljoin(request.url, checksum.where), method="GET", body=None)
    if urlsplit(asked.url)[:2] != urlsplit(request.url)[:2]:
        asked = replace(asked, headers={}, user="", password="")
    with ask(asked, host) as response:
        need_ok(asked, response)
        text = response.read(4 << 20).decode("utf-8", "replace")
    name = file_name(request.url)
    found = digest_in(text, name, hashlib.new(checksum.algorithm).digest_size * 2)
    if found is None:
        raise ResourceError(f"{shown(asked.url)} holds no {checksum.algorithm} digest of {name}")
    return Checksum(checksum.algorithm, found)


def digest_in(text: str, name: str, digits: int) -> Optional[str]:
    """The digest of the file `name` in a checksum file of any usual form, or None."""
    alone: List[str] = []
    for line in text.splitlines():
        bsd = re.fullmatch(r"\w+ ?\((.+)\) ?= ?([0-9a-fA-F]+)", line.strip())
        words = [bsd[2], bsd[1]] if bsd else line.split(None, 1)
        if not words or not re.fullmatch(rf"[0-9a-fA-F]{{{digits}}}", words[0]):
            continue
        if len(words) == 1:
            alone.append(words[0].lower())
        elif os.path.basename(words[1].strip().lstrip("*")) == name:
            return words[0].lower()
    return alone[0] if len(alone) == 1 else None


def file_name(url: str) -> str:
    """The last part of an address's path."""
    return unquote(os.path.basename(urlsplit(url).path.rstrip("/")))


def digest_of(host: Host, path: str, algorithm: str) -> str:
    """The digest of a file that is there."""
    if algorithm == "sha256":
        return host.digest(path).sha256
    if host.planning:
        return hashlib.new(algorithm, host.read(path)).hexdigest()
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def fetched(
    request: Request, host: Host, checksum: Optional[Checksum] = None, keep: bool = False,
) -> Iterator[Tuple[IO[bytes], str]]:
    """The whole content of an address as an open file and its path, verified.

    It is gone when the block ends well, unless `keep`: then a next call costs one small request. Raises ResourceError
    when it cannot be had or has another digest.
    """
    key = _key(request, checksum)
    with host.identity.itself():
        folder = host.store.directory("downloads")
        part = open(os.path.join(folder, f"{key}.part"), "a+b")  # noqa: SIM115 (opened as the agent, used as the task)
    with part:
        fcntl.flock(part, fcntl.LOCK_EX)
        _fill(part, request, host, checksum)
        part.seek(0)
        yield part, part.name
        if not keep:
            with host.identity.itself(), contextlib.suppress(FileNotFoundError):
                os.unlink(part.name)


def need_room(request: Request, host: Host, path: str) -> None:
    """Says while planning how much room a download to `path` takes, as far as the server tells at once."""
    size = _size(request, host)
    host.need(path, size)
    if size and not host.store.beside(path):
        host.need(host.store.root, size)


def _size(request: Request, host: Host) -> Optional[int]:
    if request.url.startswith("file://"):
        return host.stat(unquote(urlsplit(request.url).path), follow=True).size
    silent: List[bool] = host.machine.remember(("silent", urlsplit(request.url).netloc), list)
    if silent:
        return None
    asked = replace(request, method="HEAD", body=None, timeout=min(request.timeout, _BRIEF), tries=1)
    try:
        with ask(replace(asked, headers={"Accept-Encoding": "identity", **request.headers}), host) as response:
            length = response.headers.get("content-length", "")
            return int(length) if 200 <= response.status < 300 and length.isdigit() else None
    except ResourceError:
        silent.append(True)  # a plan waits for a server that does not answer once, not once a file
        return None


def remote_sha256(request: Request, host: Host) -> str:
    """The sha256 of what an address holds now, without keeping it; from the note where the server says "unchanged"."""
    note = _note(host, _key(request, None))
    headers = dict(request.headers)
    if note.get("etag"):
        headers["If-None-Match"] = note["etag"]
    elif note.get("modified"):
        headers["If-Modified-Since"] = note["modified"]
    with ask(replace(request, headers=headers), host) as response:
        if response.status == 304 and note.get("sha256"):
            return note["sha256"]
        need_ok(request, response)
        digest = hashlib.sha256()
        try:
            for chunk in response.chunks():
                digest.update(chunk)
        except (OSError, http.client.HTTPException) as error:
            raise failure(request, error) from None
    return digest.hexdigest()


def _fill(part: IO[bytes], request: Request, host: Host, checksum: Optional[Checksum]) -> None:
    key = _key(request, checksum)
    resumed = part.seek(0, os.SEEK_END) > 0
    for left in range(request.tries - 1, -1, -1):
        try:
            validators = _more(part, request, host, checksum)
            break
        except (OSError, http.client.HTTPException) as error:
            if not left or not passing(error):
                raise failure(request, error) from None
            host.output(f"the connection broke after {part.tell()} bytes and is taken up again")
            time.sleep(0.2)
    part.flush()
    found = _sum(part, checksum.algorithm if checksum else "sha256")
    if checksum is not None and found != checksum.hex:
        part.truncate(0)
        if resumed:  # What an earlier run left may have been of another content: once more from the start.
            return _fill(part, request, host, checksum)
        raise ResourceError(
            f"what {shown(request.url)} holds is not what was expected, and was thrown away",
            f"{checksum.algorithm} expected {checksum.hex}\n{checksum.algorithm} found    {found}",
            "either the checksum in the playbook is of another version, or the file was changed on its way",
        )
    if checksum is None:
        with host.identity.itself():
            _keep_note(host, key, {**validators, "sha256": found})
    return None


def _more(part: IO[bytes], request: Request, host: Host, checksum: Optional[Checksum]) -> Dict[str, str]:
    """Fetches what is missing of `part`; returns the server's marks of the content."""
    have = part.seek(0, os.SEEK_END)
    key = _key(request, checksum)
    headers = {"Accept-Encoding": "identity", **request.headers}
    begun = _note(host, f"{key}.part")
    mark = begun.get("etag") if not begun.get("etag", "").startswith("W/") else ""
    mark = mark or begun.get("modified", "")
    if have and (mark or checksum is not None):
        headers["Range"] = f"bytes={have}-"
        if mark:
            headers["If-Range"] = mark
    elif have:
        part.truncate(0)
        have = part.seek(0)
    with ask(replace(request, headers=headers, tries=max(request.tries, 1)), host) as response:
        if response.status == 416 and response.headers.get("content-range", "").endswith(f"/{have}"):
            return begun
        if response.status == 416 and have:
            part.truncate(0)
            raise ConnectionError("the server has less than was fetched before")
        need_ok(request, response)
        if response.status != 206 or not response.headers.get("content-range", "").startswith(f"bytes {have}-"):
            part.truncate(0)
            have = part.seek(0)
        validators = {
            "etag": response.headers.get("etag", ""), "modified": response.headers.get("last-modified", ""),
        }
        with host.identity.itself():
            _keep_note(host, f"{key}.part", validators)
        _pour(part, response, request, host, have)
    return validators


def _pour(part: IO[bytes], response: Response, request: Request, host: Host, have: int) -> None:
    length = response.headers.get("content-length", "")
    total = have + int(length) if length.isdigit() else 0
    told = 0.0
    for chunk in response.chunks():
        part.write(chunk)
        have += len(chunk)
        if time.monotonic() - told > _TELL:
            told = time.monotonic()
            host.progress(f"downloading {file_name(request.url) or shown(request.url)}", have, total)
    part.flush()
    if total and have < total:
        raise ConnectionError(f"the connection ended {total - have} bytes early")
    host.progress(f"downloaded {file_name(request.url) or shown(request.url)}", have, have)


def _sum(part: IO[bytes], algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    part.seek(0)
    for chunk in iter(lambda: part.read(_CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()


def _key(request: Request, checksum: Optional[Checksum]) -> str:
    return hashlib.sha256(f"{request.url}\n{checksum.hex if checksum else ''}".encode()).hexdigest()[:32]


def _note(host: Host, key: str) -> Dict[str, str]:
    with host.identity.itself():
        try:
            with open(host.store.path("downloads", f"{key}.json"), encoding="utf-8") as file:
                found = json.load(file)
        except (OSError, ValueError):
            return {}
    return found if isinstance(found, dict) else {}


def _keep_note(host: Host, key: str, note: Dict[str, str]) -> None:
    with open(os.path.join(host.store.directory("downloads"), f"{key}.json"), "w", encoding="utf-8") as file:
        json.dump(note, file)
