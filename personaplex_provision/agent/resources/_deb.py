"""A .deb file: what it holds, and getting one from an address."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Dict, Optional, Tuple

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import ResourceError

_NAME = r"([a-z0-9][a-z0-9+.-]+)_([^_]+)_([a-z0-9-]+)\.deb$"


def is_url(deb: str) -> bool:
    """Whether the file is to be fetched first."""
    return deb.startswith(("http://", "https://"))


def local_path(host: Host, deb: str) -> str:
    """Where the file is, or will be once fetched."""
    if not is_url(deb):
        return host.expand(deb)
    return host.store.path("apt", "fetched", hashlib.sha256(deb.encode()).hexdigest()[:24] + ".deb")


def contents(host: Host, deb: str) -> Optional[Tuple[str, str]]:
    """Name and version of the package; of an address not fetched yet from the file's name, None when that is silent."""
    path = local_path(host, deb)
    if host.stat(path, follow=True).type == "file":
        said = host.query(["dpkg-deb", "-f", path, "Package", "Version"], reads=[path])
        if said.rc != 0:
            raise ResourceError(f"{deb} is not a Debian package", said.stderr.strip())
        fields = dict(line.split(": ", 1) for line in said.stdout.splitlines() if ": " in line)
        return fields.get("Package", ""), fields.get("Version", "")
    from urllib.parse import unquote

    named = re.search(_NAME, unquote(deb.rsplit("/", 1)[-1]))
    return (named.group(1), named.group(2)) if named else None


def fetch(host: Host, deb: str) -> str:
    """Fetches the file into the state directory unless it is there; returns its path. Raises ResourceError."""
    path = local_path(host, deb)
    if os.path.exists(path):
        return path
    import urllib.request  # here: it is slow to import, and few runs fetch

    host.store.directory("apt", "fetched")
    environment: Dict[str, str] = host.command_environment()
    proxies = {name: environment[key] for name in ("http", "https") for key in (f"{name}_proxy",) if key in environment}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(deb, timeout=60) as answer, open(f"{path}.part", "wb") as file:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            for chunk in iter(lambda: answer.read(1 << 18), b""):
                file.write(chunk)
                done += len(chunk)
                host.progress(f"fetching {deb}", done, total)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ResourceError(f"{deb} could not be fetched: {reason}", hint="check the address and the network") from None
    os.replace(f"{path}.part", path)
    return path
