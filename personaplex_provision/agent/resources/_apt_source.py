"""What the kinds that manage package sources share: the key of a source, verified, and fetching its lists."""

from __future__ import annotations

from typing import Dict, List, Sequence

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources import _openpgp as openpgp

FOLDER = "/etc/apt/sources.list.d"
KEYRINGS = "/etc/apt/keyrings"


def fetch_key(host: Host, url: str) -> bytes:
    """The key at an address. Raises ResourceError."""
    import urllib.request  # here: it is slow to import, and few runs fetch

    environment: Dict[str, str] = host.command_environment()
    proxies = {name: environment[key] for name in ("http", "https") for key in (f"{name}_proxy",) if key in environment}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    try:
        with opener.open(url, timeout=30) as answer:
            found: bytes = answer.read(1 << 22)
            return found
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ResourceError(f"the signing key {url} could not be fetched: {reason}", hint=_HINT) from None


def verify(data: bytes, wanted: Sequence[str], source: str) -> None:
    """Raises ResourceError unless the keyring holds exactly keys that were asked for.

    A wanted fingerprint may be that of a subkey. A further key in the keyring is refused: apt would trust it too.
    """
    try:
        found = openpgp.keys(data)
    except openpgp.NotAKey as error:
        raise ResourceError(f"{source} is not a signing key: {error}") from None
    asked = {openpgp.normal(one) for part in wanted for one in part.split(",") if one.strip()}
    if not asked:
        return
    foreign = [key.fingerprint for key in found if not asked & {key.fingerprint, *key.subkeys}]
    unseen = asked - {one for key in found for one in (key.fingerprint, *key.subkeys)}
    if foreign or unseen:
        raise ResourceError(
            "refused: the signing key is not the one that was asked for",
            f"{source} has the fingerprint {', '.join(key.fingerprint for key in found)}, "
            f"asked for was {', '.join(sorted(asked))}",
            "compare both with what the publisher announces: the key was replaced, or the address is another's",
        )


def matches(host: Host, path: str, wanted: Sequence[str]) -> bool:
    """Whether the keyring at `path` is there and is the one asked for."""
    try:
        verify(host.read(path), wanted, path)
    except (OSError, ResourceError):
        return False
    return True


def sources(host: Host) -> List[str]:
    """The files in the classic format, one source a line."""
    names = host.list(FOLDER) if host.stat(FOLDER, follow=True).type == "directory" else []
    return ["/etc/apt/sources.list", *(f"{FOLDER}/{name}" for name in names if name.endswith(".list"))]


_HINT = "check the address and the network"
