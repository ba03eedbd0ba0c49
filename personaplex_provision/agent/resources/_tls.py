"""TLS as the checks look at it: a handshake, what the certificate says, and what answers when it is no TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import time
from typing import Any, Dict, List

from personaplex_provision.agent.resource import ResourceError

PLAIN = "it answers plain HTTP: the server found no certificate pair and fell back"
PLAIN_FIX = "put cert.pem and key.pem where the server looks for them, both readable by its user, and restart it"


def context(ca_path: str, verify: bool) -> ssl.SSLContext:
    """A client's context. Raises ResourceError for certificates that cannot be read."""
    try:
        found = ssl.create_default_context(cafile=ca_path or None)
    except FileNotFoundError:
        raise ResourceError(f"the certificates {ca_path} are not there") from None
    except PermissionError:
        raise ResourceError(f"the certificates {ca_path} may not be read") from None
    except ssl.SSLError:
        raise ResourceError(f"{ca_path} holds no certificate") from None
    if not verify:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    return found


def connect(host: str, port: int, timeout: float, tls: ssl.SSLContext | None) -> socket.socket:
    """A connection, with TLS when a context is given. Raises ResourceError that names the cause."""
    where = f"{host}:{port}"
    try:
        link = socket.create_connection((host, port), timeout)
    except socket.gaierror:
        raise ResourceError(f"the name {host} cannot be resolved") from None
    except ConnectionRefusedError:
        raise ResourceError(f"{where} refused the connection", hint="nothing listens there now") from None
    except TimeoutError:
        raise ResourceError(f"{where} did not answer within {timeout:g} seconds") from None
    except OSError as error:
        raise ResourceError(f"{where}: {error.strerror or error}") from None
    if tls is None:
        return link
    try:
        return tls.wrap_socket(link, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        link.close()
        raise ResourceError(
            f"the certificate of {where} is not trusted: {error.verify_message}",
            hint="trust it with ca_path, or make one for the name that is asked for",
        ) from None
    except TimeoutError:
        link.close()
        raise ResourceError(f"{where} did not finish a TLS handshake within {timeout:g} seconds") from None
    except (ssl.SSLError, OSError) as error:
        link.close()
        if speaks_http(host, port, timeout):
            raise ResourceError(f"{where} does not speak TLS: {PLAIN}", str(error), PLAIN_FIX) from None
        raise ResourceError(f"the TLS handshake with {where} failed", str(error)) from None


def speaks_http(host: str, port: int, timeout: float) -> bool:
    """Whether plain HTTP is understood there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout) as link:
        link.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return link.recv(16).startswith(b"HTTP/")
    return False


def described(link: ssl.SSLSocket) -> Dict[str, Any]:
    """What the peer's certificate says."""
    data = link.getpeercert(binary_form=True)
    if not data:
        return {}
    handle, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(ssl.DER_cert_to_PEM_cert(data))
        return described_file(path)
    finally:
        os.unlink(path)


def described_file(path: str) -> Dict[str, Any]:
    """What a certificate in a PEM file says. Raises ResourceError."""
    if not os.path.exists(path):
        raise ResourceError(f"{path} does not exist")
    decode: Any = getattr(ssl, "_ssl")._test_decode_cert  # noqa: B009
    try:
        said = decode(path)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ResourceError(f"{path} holds no certificate that can be read", str(error)) from None
    ends = ssl.cert_time_to_seconds(said["notAfter"])
    return {
        "names": _names(said), "subject": _name(said.get("subject", ())), "issuer": _name(said.get("issuer", ())),
        "days_left": round((ends - time.time()) / 86400, 1), "expires": said["notAfter"],
        "self_signed": said.get("subject") == said.get("issuer"),
    }


def _names(said: Dict[str, Any]) -> List[str]:
    return [value.lower() if kind == "IP Address" else value for kind, value in said.get("subjectAltName", ())]


def _name(parts: Any) -> str:
    return ", ".join(f"{key}={value}" for part in parts for key, value in part)
