"""A forward proxy of HTTP, as the way out of a network: it remembers what was asked through it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from urllib.parse import urlsplit


class Proxy:
    """Listens on one address until it is closed."""

    def __init__(self, address: str) -> None:
        self.asked: list[str] = []
        "`METHOD URL` of every request, and `CONNECT NAME:PORT` of every tunnel."
        asked = self.asked

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                method, target, version = self.rfile.readline().decode("latin-1").split()
                head = [line for line in iter(self.rfile.readline, b"\r\n") if line]
                asked.append(f"{method} {target}")
                parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
                with socket.create_connection((parts.hostname or "", parts.port or 80), 30) as there:
                    if method == "CONNECT":
                        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    else:
                        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
                        kept = [line for line in head if not line.lower().startswith((b"connection:", b"proxy-"))]
                        first = f"{method} {path} {version}\r\nConnection: close\r\n"
                        there.sendall(first.encode() + b"".join(kept) + b"\r\n")
                    back = threading.Thread(target=_pump, args=(there, self.connection))
                    back.start()
                    _pump(self.connection, there, self.rfile.peek())  # type: ignore[attr-defined]
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                """Who hangs up is no error of the proxy."""

        self._server = Server((address, 0), Handler)
        self.url = f"http://{address}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _pump(source: socket.socket, sink: socket.socket, first: bytes = b"") -> None:
    with contextlib.suppress(OSError):
        if first:
            sink.sendall(first)
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
