"""Checks of what answers on the network, against real servers on the loopback."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check
from personaplex_provision.agent.resources.check_certificate import CheckCertificate
from personaplex_provision.agent.resources.check_http_tls import CheckHttpTls
from personaplex_provision.agent.resources.check_hub_gate import CheckHubGate
from personaplex_provision.agent.resources.check_port import CheckPort
from personaplex_provision.agent.resources.check_uri import CheckUri
from personaplex_provision.agent.resources.check_websocket import CheckWebsocket
from personaplex_provision.agent.values import Secret
from tests.unit.kind_host import Life

Serve = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def host(tmp_path: Path) -> Any:
    return Life(tmp_path).host()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with cert.pem and key.pem for localhost."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
         "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"], cwd=folder, check=True, capture_output=True,
    )
    return folder


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server on the loopback that hands each connection to a function; returns its port."""
    with contextlib.ExitStack() as stack:

        def start(answer: Callable[[socket.socket], None]) -> int:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def loop() -> None:
                while True:
                    try:
                        link, _ = server.accept()
                    except OSError:
                        return
                    with contextlib.suppress(OSError, ValueError), link:
                        answer(link)

            threading.Thread(target=loop, daemon=True).start()
            stack.callback(server.shutdown, socket.SHUT_RDWR)
            return int(server.getsockname()[1])

        yield start


def page(status: str = "200 OK", text: str = "hello") -> Callable[[socket.socket], None]:
    def answer(link: socket.socket) -> None:
        link.recv(65536)
        link.sendall(f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(text)}\r\n"
                     f"Connection: close\r\n\r\n{text}".encode())

    return answer


def secured(pair: Path, answer: Callable[[socket.socket], None]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair / "cert.pem", pair / "key.pem")

    def inside(link: socket.socket) -> None:
        with context.wrap_socket(link, server_side=True) as safe:
            answer(safe)

    return inside


def websocket(frames: bytes, wait: threading.Event | None = None) -> Callable[[socket.socket], None]:
    """A server that upgrades, says `frames`, and waits."""

    def answer(link: socket.socket) -> None:
        head = link.recv(65536).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
        digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        link.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}\r\n\r\n").encode() + frames)
        if wait is not None:
            wait.wait(10)
        elif frames:
            link.recv(65536)

    return answer


def failure(check: Check, host: Any) -> ResourceError:
    with pytest.raises(ResourceError) as caught:
        check.observe(host)
    return caught.value


def test_http_tls_sees_status_body_names_and_days(pair: Path, serve: Serve, host: Any) -> None:
    port = serve(secured(pair, page()))
    check = CheckHttpTls(f"https://localhost:{port}/", ca_path=str(pair / "cert.pem"), body={"contains": "hello"},
                         names={"contains": "127.0.0.1"}, days_left={"between": [7, 9]}, version={"matches": "TLS"})
    check.observe(host)
    assert check.result(check, check, host)["status"] == 200
    check.status = {"equals": 204}
    assert failure(check, host).summary == f"https://localhost:{port}/: status is 200, and should be 204"


def test_http_tls_tells_plain_http_a_strange_certificate_and_nobody_apart(
    pair: Path, serve: Serve, host: Any,
) -> None:
    plain = failure(CheckHttpTls(f"https://localhost:{serve(page())}/"), host)
    assert "does not speak TLS: it answers plain HTTP" in plain.summary and "cert.pem" in plain.hint
    port = serve(secured(pair, page()))
    assert "is not trusted: self" in failure(CheckHttpTls(f"https://localhost:{port}/"), host).summary
    assert "refused the connection" in failure(CheckHttpTls("https://localhost:1/"), host).summary

    def hang_up(link: socket.socket) -> None:
        link.recv(1)

    silent = failure(CheckHttpTls(f"https://localhost:{serve(hang_up)}/", timeout=1), host)
    assert "TLS handshake" in silent.summary


def test_a_certificate_and_its_key_are_looked_at(pair: Path, tmp_path: Path, host: Any) -> None:
    good = CheckCertificate(str(pair / "cert.pem"), str(pair / "key.pem"), names={"contains": "localhost"},
                            self_signed=True, subject={"contains": "localhost"})
    good.observe(host)
    good.days_left = {"ge": 30}
    assert "days_left is " in failure(good, host).summary
    other = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                    str(other)], check=True, capture_output=True)
    assert "does not belong to" in failure(CheckCertificate(str(pair / "cert.pem"), str(other)), host).summary
    assert "does not exist" in failure(CheckCertificate(str(pair / "cert.pem"), str(tmp_path / "no")), host).summary
    other.write_text("nothing")
    assert "holds no certificate" in failure(CheckCertificate(str(other)), host).summary


def test_uri_compares_status_body_and_json(serve: Serve, host: Any) -> None:
    port = serve(page(text='{"ready": true}'))
    check = CheckUri(f"http://127.0.0.1:{port}/x?token=secret", json={"contains": "ready"}, seconds={"lt": 10})
    check.observe(host)
    check.body = {"matches": "never"}
    told = failure(check, host).summary
    assert "body is " in told and "secret" not in told


def test_websocket_hears_the_first_message_and_answers_to_a_text(pair: Path, serve: Serve, host: Any) -> None:
    port = serve(secured(pair, websocket(b"\x89\x00" + b"\x82\x01\x00")))  # a ping comes before it
    CheckWebsocket(f"wss://localhost:{port}/api/chat?x=1", ca_path=str(pair / "cert.pem"), first="00").observe(host)
    port = serve(websocket(b"\x01\x02he" + b"\x80\x03llo"))  # in two fragments
    CheckWebsocket(f"ws://127.0.0.1:{port}/", first={"equals": "hello"}).observe(host)


def test_websocket_tells_busy_refused_and_closed_apart(serve: Serve, host: Any) -> None:
    held = threading.Event()
    port = serve(websocket(b"", held))
    busy = CheckWebsocket(f"ws://127.0.0.1:{port}/", first="00", timeout=0.3)
    assert "said nothing for 0.3 seconds: it is busy with another client" in failure(busy, host).summary
    held.set()
    port = serve(websocket(b"", held := threading.Event()))
    busy = CheckWebsocket(f"ws://127.0.0.1:{port}/", first="00", timeout=0.3, when_silent="accept")
    busy.observe(host)
    assert busy.result(busy, busy, host)["busy"] is True
    held.set()
    refused = CheckWebsocket(f"ws://127.0.0.1:{serve(page('400 Bad Request', 'No WebSocket UPGRADE hdr'))}/")
    assert "status is 400, and should be 101" in failure(refused, host).summary
    assert "No WebSocket UPGRADE hdr" in failure(refused, host).detail
    gone = CheckWebsocket(f"ws://127.0.0.1:{serve(websocket(b''))}/", first="00")
    assert "closed again with 1006" in failure(gone, host).summary
    port = serve(websocket(b"\x88\x05" + struct.pack(">H", 1011) + b"bad"))
    closing = CheckWebsocket(f"ws://127.0.0.1:{port}/", first="00")
    assert "closed again with 1011" in failure(closing, host).summary and failure(closing, host).detail == "bad"


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one gated model: `good` may read it, `unlicensed` may not, every other token is unknown."""

    def do_HEAD(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        known = {"": 401, "good": 302, "unlicensed": 403}
        status = known.get(token, 401) if self.path == "/o/model/resolve/main/config.json" else 404
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/never-followed")
        self.end_headers()

    def log_message(self, *_given: Any) -> None:
        """Says nothing."""


@pytest.mark.parametrize(("token", "access"), [
    ("", "no token"), ("mistyped", "bad token"), ("unlicensed", "licence not accepted"), ("good", "granted"),
])
def test_the_gate_of_a_model_has_three_answers_besides_yes(token: str, access: str, host: Any) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            check = CheckHubGate("o/model", endpoint=f"http://127.0.0.1:{server.server_port}",
                                 token=Secret(token, "token") if token else None)
            if access == "granted":
                check.observe(host)
            else:
                told = failure(check, host)
                assert told.summary == f"config.json of o/model: access is {access}, and should be granted"
                assert told.hint and "mistyped" not in told.summary
        finally:
            server.shutdown()


def test_a_port_is_open_or_free_and_says_who_has_it(serve: Serve, host: Any) -> None:
    port = serve(page())
    CheckPort(port, addresses=["127.0.0.1"]).observe(host)
    taken = failure(CheckPort(port, state="free"), host).summary
    assert taken.startswith(f"port {port} is taken on 127.0.0.1 by ")
    with socket.create_server(("0.0.0.0", 0)) as wide:
        told = failure(CheckPort(wide.getsockname()[1], addresses=["127.0.0.1"]), host)
        assert "addresses is 0.0.0.0, and should be" in told.summary and "every address" in told.hint
    CheckPort(1, state="free").observe(host)
    assert "refuses connections" in failure(CheckPort(1), host).summary
