"""HTTP as the kinds use it: the standard library's client with our own redirects, proxies, retries and words.

Redirects are followed here and not by urllib, so that a token never travels to another host. Proxies come from the
environment that the task's commands get.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import ResourceError

RETRIED = frozenset({429, 500, 502, 503, 504})
"Statuses after which asking again may help."
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FAREST = 10
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Request:
    """What is asked. `follow` is Ansible's `follow_redirects`: all, safe (GET and HEAD), none."""

    url: str
    method: str = "GET"
    headers: Dict[str, str] = field(default_factory=dict)
    body: Optional[bytes] = None
    timeout: float = 30.0
    user: str = ""
    password: str = ""
    force_basic_auth: bool = False
    validate_certs: bool = True
    ca_path: str = ""
    follow: str = "safe"
    use_proxy: bool = True
    tries: int = 4


@dataclass
class Response:
    """What came back; header names are in lower case. The body is read once, through `chunks`."""

    status: int
    reason: str
    headers: Dict[str, str]
    url: str
    cookies: List[str]
    _body: Any

    def chunks(self) -> Iterator[bytes]:
        """The body piece by piece. Raises OSError or HTTPException when the connection breaks."""
        yield from iter(lambda: self._body.read(_CHUNK), b"")

    def read(self, limit: int = 64 << 20) -> bytes:
        """The body. Raises ResourceError when it has more than `limit` bytes."""
        data = bytearray()
        for chunk in self.chunks():
            data += chunk
            if len(data) > limit:
                raise ResourceError(f"{shown(self.url)} answered with more than {limit >> 20} MiB")
        return bytes(data)


@contextlib.contextmanager
def ask(request: Request, host: Host) -> Iterator[Response]:
    """The answer to a request, whatever its status. Raises ResourceError when there is none.

    A refused or broken connection and the statuses in RETRIED are tried again, `request.tries` times in all.
    """
    environment = host.command_environment()
    delay = 0.2
    for left in range(request.tries - 1, -1, -1):
        try:
            response = _follow(request, environment)
        except (OSError, http.client.HTTPException) as error:
            if not left or not passing(error):
                raise failure(request, error) from None
        else:
            if response.status not in RETRIED or not left:
                with contextlib.closing(response._body):
                    yield response
                return
            response._body.close()
        time.sleep(delay)
        delay = min(delay * 3, 5.0)


def need_ok(request: Request, response: Response) -> None:
    """Raises ResourceError unless the status says that the answer is what was asked for."""
    if 200 <= response.status < 300:
        return
    hint = ""
    if response.status in (401, 403):
        hint = "the server wants other credentials than it was given" if _has_credentials(request) else (
            "the server wants credentials: url_username and url_password, or an Authorization header"
        )
    elif response.status == 404:
        hint = "check the address, and whether the version it names exists"
    said = ""
    with contextlib.suppress(ResourceError, OSError, http.client.HTTPException):
        said = response.read(4096).decode("utf-8", "replace").strip()
    raise ResourceError(
        f"{shown(response.url)} answered {response.status} {response.reason}".rstrip(), said if "<" not in said else "",
        hint, {"status_code": response.status, "url": shown(response.url)},
    )


def shown(url: str) -> str:
    """A URL as it may be printed: without credentials, and without the values of its query."""
    parts = urlsplit(url)
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "…" if parts.query else "", ""))


def is_here(url: str) -> bool:
    """Whether an address is this machine's own, so that what answers there is what tasks start."""
    name = (urlsplit(url).hostname or "").rstrip(".").lower()
    own = os.uname().nodename.lower()
    return name in ("localhost", "::1", "0.0.0.0", own, own.split(".")[0]) or name.startswith("127.")


def failure(request: Request, error: Exception) -> ResourceError:
    """A failure to get an answer, in words."""
    url = shown(request.url)
    where = urlsplit(request.url).netloc.rpartition("@")[2]
    reason: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    result = {"status": -1, "url": url}
    if isinstance(reason, ssl.SSLCertVerificationError):
        return ResourceError(
            f"the certificate of {where} is not trusted: {reason.verify_message}", "",
            "give the authority's certificate with ca_path, or install it on the host", result,
        )
    if isinstance(reason, socket.gaierror):
        return ResourceError(f"the name {where} cannot be resolved", "", "check the name, DNS and the proxy", result)
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return ResourceError(f"{url} did not answer within {request.timeout:g} seconds", "", "", result)
    if isinstance(reason, ConnectionRefusedError):
        return ResourceError(f"{where} refused the connection", "", "nothing listens there now", result)
    words = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return ResourceError(f"{url} could not be fetched: {words or type(reason).__name__}", "", "", result)


def passing(error: Exception) -> bool:
    """Whether asking again may help."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return not isinstance(reason, (ssl.SSLCertVerificationError, ValueError, FileNotFoundError, PermissionError))


def _has_credentials(request: Request) -> bool:
    return bool(request.user) or any(one.lower() == "authorization" for one in request.headers)


def _follow(request: Request, environment: Dict[str, str]) -> Response:
    url, method, body = request.url, request.method, request.body
    headers = dict(request.headers)
    user, password, url = _credentials(request, url)
    first = _origin(url)
    for _ in range(_FAREST):
        response = _once(request, url, method, headers, body, user, password, environment)
        goes_on = request.follow == "all" or (request.follow != "none" and method in ("GET", "HEAD"))
        target = response.headers.get("location")
        if response.status not in _REDIRECTS or not target or not goes_on:
            return response
        response._body.close()
        url = urljoin(url, target)
        if urlsplit(url).scheme not in ("http", "https"):
            raise ResourceError(f"{shown(request.url)} sends on to {shown(url)}, which is not followed")
        if response.status == 303 or (response.status in (301, 302) and method == "POST"):
            method, body = "GET" if method != "HEAD" else "HEAD", None
            headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        if _origin(url) != first:
            headers = {
                name: value for name, value in headers.items()
                if name.lower() not in ("authorization", "cookie", "private-token", "proxy-authorization")
            }
            user = password = ""
    raise ResourceError(f"{shown(request.url)} sends on more than {_FAREST} times")


def _once(
    request: Request, url: str, method: str, headers: Dict[str, str], body: Optional[bytes], user: str, password: str,
    environment: Dict[str, str],
) -> Response:
    asked = urllib.request.Request(quote(url, safe="/%:?#[]@!$&'()*+,;=~-._"), data=body, method=method)
    asked.add_header("User-Agent", "provision")
    for name, value in headers.items():
        asked.add_header(name, value)
    if user and request.force_basic_auth:
        asked.add_header("Authorization", _basic(user, password))
    if request.use_proxy:
        _through_proxy(asked, environment)
    handlers: List[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _AsItComes()]
    if asked.type == "https" or url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=_context(request, environment)))
    opener = urllib.request.build_opener(*handlers)
    found = opener.open(asked, timeout=request.timeout)
    wants_basic = found.headers.get("WWW-Authenticate", "").lower().startswith("basic")
    if getattr(found, "status", None) == 401 and user and wants_basic and not asked.has_header("Authorization"):
        found.close()
        asked.add_header("Authorization", _basic(user, password))
        found = opener.open(asked, timeout=request.timeout)
    lowered = {name.lower(): value for name, value in found.headers.items()}
    cookies = found.headers.get_all("Set-Cookie") or []
    status, reason = getattr(found, "status", None) or 200, getattr(found, "reason", None) or ""
    return Response(status, reason, lowered, url, cookies, found)


class _AsItComes(urllib.request.HTTPErrorProcessor):
    """Every answer is an answer: redirects and errors are looked at by the caller."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response


def _context(request: Request, environment: Dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=request.ca_path or environment.get("SSL_CERT_FILE") or None)
    except FileNotFoundError:
        raise ResourceError(f"the certificates {request.ca_path} are not there") from None
    except ssl.SSLError:
        raise ResourceError(f"{request.ca_path} holds no certificate") from None
    if not request.validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _through_proxy(asked: urllib.request.Request, environment: Dict[str, str]) -> None:
    scheme, name = asked.type, asked.host or ""

    def variable(key: str) -> str:
        return environment.get(key) or environment.get(key.upper()) or ""

    proxy = variable(f"{scheme}_proxy") or variable("all_proxy")
    if scheme not in ("http", "https") or not proxy:
        return
    bypass: Callable[[str, Dict[str, str]], bool] = getattr(urllib.request, "proxy_bypass_environment")  # noqa: B009
    if bypass(name, {"no": variable("no_proxy")}):
        return
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username:
        asked.add_header("Proxy-Authorization", _basic(unquote(parts.username), unquote(parts.password or "")))
    asked.set_proxy(parts.netloc.rpartition("@")[2], parts.scheme)


def _credentials(request: Request, url: str) -> Tuple[str, str, str]:
    """User, password, and the URL without them."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise ResourceError(f"{shown(url)} is no http, https or file address")
    if not parts.username:
        return request.user, request.password, url
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return request.user or unquote(parts.username), request.password or unquote(parts.password or ""), plain


def _origin(url: str) -> Tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
