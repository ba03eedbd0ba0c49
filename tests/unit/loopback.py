"""A web server on the loopback interface for tests: paths are functions or bytes, and what was asked is remembered."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """What the server answers by path: bytes, or a function of the request that gives (status, headers, body).

    `cut` makes the next answer of a path end after that many bytes; bytes are served with ETag and Range.
    """

    url: str = ""
    pages: dict[str, bytes | Callable[[Asked], tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


@contextlib.contextmanager
def serve() -> Iterator[Site]:
    """A running server."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on stderr."""

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length))
            site.asked.append(asked)
            status, given, body = _answer(site, asked)
            self.send_response(status)
            for name, value in given.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: site.cut.pop(asked.path, len(body))])
            self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(site: Site, asked: Asked) -> tuple[int, dict[str, str], bytes]:
    page = site.pages.get(asked.path)
    if page is None:
        return 404, {}, b"nothing here"
    if not isinstance(page, bytes):
        return page(asked)
    etag = f'"{hashlib.sha256(page).hexdigest()[:12]}"'
    if asked.headers.get("if-none-match") == etag:
        return 304, {"ETag": etag}, b""
    wanted = asked.headers.get("range", "")
    if wanted and asked.headers.get("if-range", etag) == etag:
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(page):
            return 416, {"Content-Range": f"bytes */{len(page)}"}, b""
        return 206, {"ETag": etag, "Content-Range": f"bytes {start}-{len(page) - 1}/{len(page)}"}, page[start:]
    return 200, {"ETag": etag}, page
