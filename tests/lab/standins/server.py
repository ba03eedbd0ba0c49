"""The HTTP server under every stand-in: it answers from a function and remembers each request."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    "Without the query."
    query: str
    headers: Message
    body: bytes


@dataclass
class Reply:
    """What a stand-in answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Path = b""


@dataclass(frozen=True)
class Visit:
    """A line of the log: what was asked, and what was answered."""

    method: str
    path: str
    status: int


class _Threads(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no error of the server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Server:
    """Serves `answer` on one port of several addresses, from threads of its own, until it is closed."""

    def __init__(self, addresses: Sequence[str], answer: Callable[[Request], Reply]) -> None:
        self.log: list[Visit] = []
        "Every request since the start, the oldest first."
        self._servers = _bind(addresses, _handler(answer, self.log))
        self.url = f"http://{addresses[0]}:{self._servers[0].server_port}"
        "The address of the server as a lab host sees it, without a slash at the end."
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers]
        for thread in self._threads:
            thread.start()

    def fetched(self, part: str) -> list[Visit]:
        """The requests whose path holds `part`."""
        return [visit for visit in self.log if part in visit.path]

    def close(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()


def files(root: Path) -> Callable[[Request], Reply]:
    """An answer from the files under `root`."""

    def answer(request: Request) -> Reply:
        path = (root / request.path.lstrip("/")).resolve()
        if request.method not in ("GET", "HEAD"):
            return Reply(405)
        return Reply(body=path) if path.is_relative_to(root.resolve()) and path.is_file() else Reply(404)

    return answer


def _bind(addresses: Sequence[str], handler: type[BaseHTTPRequestHandler]) -> list[ThreadingHTTPServer]:
    """Servers on one port of every address: the first may choose it, and chooses again when another has it already."""
    for _ in range(50):
        with contextlib.ExitStack() as stack:
            servers: list[ThreadingHTTPServer] = []
            with contextlib.suppress(OSError):
                for address in addresses:
                    port = servers[0].server_port if servers else 0
                    servers.append(_Threads((address, port), handler))
                    stack.callback(servers[-1].server_close)
                stack.pop_all()
                return servers
    raise OSError(f"no port is free on all of {', '.join(addresses)}")


def _handler(answer: Callable[[Request], Reply], log: list[Visit]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 60

        def _serve(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = answer(Request(self.command, unquote(url.path), url.query, self.headers, body))
            source, size = _open(reply.body)
            with source:
                first, last = _range(self.headers, size) if reply.status == 200 else (0, size)
                if (first, last) != (0, size):
                    reply.status = 206
                    reply.headers["Content-Range"] = f"bytes {first}-{last - 1}/{size}"
                log.append(Visit(self.command, url.path, reply.status))
                self.send_response(reply.status)
                headers: Mapping[str, str] = {"Accept-Ranges": "bytes", **reply.headers}
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(last - first))
                self.end_headers()
                if self.command != "HEAD":
                    source.seek(first)
                    self.wfile.write(source.read(last - first))

        do_GET = do_HEAD = do_POST = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the log is kept, not printed."""

    return Handler


def _open(body: bytes | Path) -> tuple[BinaryIO, int]:
    if isinstance(body, Path):
        return body.open("rb"), body.stat().st_size
    return io.BytesIO(body), len(body)


def _range(headers: Message, size: int) -> tuple[int, int]:
    """The part of a body that is asked for, as (first, one after the last); all of it when the range makes no sense."""
    unit, _, part = (headers.get("Range") or "").partition("=")
    first, _, last = part.partition("-")
    if unit != "bytes" or not first.isdigit() or int(first) >= size:
        return 0, size
    return int(first), min(int(last) + 1, size) if last.isdigit() else size
