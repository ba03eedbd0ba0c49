"""The two proofs of an ssh connection: that the host is the one we know, and that we are who we say."""

from __future__ import annotations

from typing import Any

from personaplex_provision.errors import UnreachableError
from personaplex_provision.executors.base import Connection, unreachable
from personaplex_provision.executors.hostkeys import KnownHosts, judge, names_of
from personaplex_provision.executors.sshconfig import SshSettings
from personaplex_provision.executors.sshkeys import offers, ssh_agent
from personaplex_provision.executors.sshlibrary import paramiko_library

RSA = ("rsa-sha2-512", "rsa-sha2-256")


def shake_hands(transport: Any, settings: SshSettings, connection: Connection, timeout: float) -> bool:
    """Negotiates and verifies the host's key; whether passwords may be sent. Raises UnreachableError and paramiko's."""
    _prefer_known(transport, KnownHosts(settings.known_hosts, names_of(settings)).kinds())
    transport.start_client(timeout=timeout)
    key = transport.get_remote_server_key()
    return judge(settings, _policy(settings, connection), key.get_name(), key.asbytes(), connection.name)


def log_in(transport: Any, settings: SshSettings, connection: Connection, trusted: bool) -> None:
    """Proves who we are, by keys and then by the password. Raises UnreachableError with what was tried."""
    paramiko = paramiko_library()
    tried: list[str] = []
    unusable: list[str] = []
    allowed: list[str] = []

    def attempt(words: str, how: Any, *arguments: Any) -> bool:
        try:
            further = how(settings.user, *arguments)
        except paramiko.BadAuthenticationType as error:
            allowed[:] = error.allowed_types
            return False
        except paramiko.AuthenticationException as error:
            # A server that has had enough of our keys hangs up.
            if not transport.is_active():
                raise _refused(connection, settings, [*tried, words], unusable, ["no more attempts allowed"]) from error
            tried.append(words)
            return False
        tried.append(words)
        if further:  # accepted, but the server wants a second proof
            allowed[:] = further
        return not further

    password = connection.password if trusted else None
    keys = settings.flag("pubkeyauthentication", True)
    if keys:
        with ssh_agent(settings) as held:
            for name, key in offers(settings, connection.private_key, held, connection.ask_passphrase, unusable.append):
                if attempt(name, transport.auth_publickey, key):
                    return
                if allowed and "publickey" not in allowed:
                    break
    if password is not None and attempt("password", transport.auth_password, password.reveal()):
        return
    if not tried and attempt("none", transport.auth_none):
        return
    raise _refused(connection, settings, tried, unusable, allowed)


def _refused(
    connection: Connection, settings: SshSettings, tried: list[str], unusable: list[str], allowed: list[str]
) -> UnreachableError:
    detail = [f"tried: {', '.join(tried)}" if tried else "there was no key and no password to try"]
    detail += [f"not usable: {one}" for one in unusable]
    if allowed:
        detail.append(f"the host accepts: {', '.join(allowed)}")
    copy = f"put your key there with `ssh-copy-id {settings.user}@{settings.hostname}`"
    hint = f"{copy}, name another with --private-key, or give a password with -k"
    if "password" in tried:
        hint = f"check the user, and the password of -k or ansible_password; or {copy}"
    return unreachable(
        f"{connection.name}: {settings.user}@{settings.hostname} was not let in", "\n".join(detail), hint,
    )


def _policy(settings: SshSettings, connection: Connection) -> str:
    if connection.accept_new_host_key:
        return "accept-new"
    if not connection.host_key_checking:
        return "no"
    word = settings.get("stricthostkeychecking", "yes").lower()
    return {"no": "no", "off": "no", "accept-new": "accept-new"}.get(word, "yes")


def _prefer_known(transport: Any, kinds: list[str]) -> None:
    """Asks first for the types of key by which the host is known, as OpenSSH does."""
    wanted = [name for kind in kinds for name in (RSA if kind == "ssh-rsa" else (kind,))]
    options = transport.get_security_options()
    offered = list(options.key_types)
    options.key_types = sorted(offered, key=lambda one: wanted.index(one) if one in wanted else len(wanted))
