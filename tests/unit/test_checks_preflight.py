"""Checks of what is to come: room by purpose, downloads at their source's speed, wheels, repositories without git."""

from __future__ import annotations

import http.server
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from personaplex_provision.agent.resource import ResourceError
from personaplex_provision.agent.resources._check import Check
from personaplex_provision.agent.resources.check_download import CheckDownload
from personaplex_provision.agent.resources.check_git_remote import CheckGitRemote, references
from personaplex_provision.agent.resources.check_room import CheckRoom
from personaplex_provision.agent.resources.check_wheel import CheckWheel, fits
from personaplex_provision.agent.values import Secret
from tests.unit.kind_host import Life

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
Serve = Callable[[Answer], str]


@pytest.fixture
def host(tmp_path: Path) -> Any:
    return Life(tmp_path).host()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server on the loopback that answers GET and HEAD by a function; returns its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            do_HEAD = do_GET

            def log_message(self, *_given: Any) -> None:
                """Says nothing."""

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


def failure(check: Check, host: Any) -> ResourceError:
    with pytest.raises(ResourceError) as caught:
        check.observe(host)
    return caught.value


def test_room_is_added_up_by_file_system_and_what_is_done_takes_none(tmp_path: Path, host: Any) -> None:
    purposes = [
        {"path": str(tmp_path / "cache"), "gib": 1 << 20, "what": "the model", "done": str(tmp_path / "model")},
        {"path": str(tmp_path), "gib": 2, "what": "the rest"},
    ]
    told = failure(CheckRoom(purposes), host)
    needed = f"GiB free, and {float((1 << 20) + 2):g} are needed: {float(1 << 20):g} for the model, 2 for the rest"
    assert needed in told.summary
    assert told.hint.startswith("make room on ")
    (tmp_path / "model").touch()
    small = [purposes[0], {**purposes[1], "gib": 0}]
    CheckRoom(small).observe(host)
    wrong = CheckRoom([{"path": "/", "gib": "many", "what": "x"}])
    assert list(wrong.validate()) == ["gib of x is a number, and not 'many'"]
    assert "and this one path" in next(CheckRoom([{"path": "/"}]).validate())


def test_a_download_is_measured_at_its_source_once_and_with_an_end(serve: Serve, tmp_path: Path, host: Any) -> None:
    asked: list[tuple[str, str, str | None]] = []

    def slow(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append((request.command, request.path, request.headers.get("Range")))
        assert request.headers["Authorization"] == "Bearer of mine"
        request.send_response(200)
        request.send_header("Content-Length", str(6 << 30))
        request.end_headers()
        end = time.monotonic() + 20
        while request.command == "GET" and time.monotonic() < end:
            try:
                request.wfile.write(bytes(1 << 16))
            except OSError:
                break
            time.sleep(0.05)

    url = f"{serve(slow)}/owner/model.safetensors"
    path = tmp_path / "model"
    given: dict[str, Any] = {"files": {str(path): url}, "token": Secret("of mine", "token"), "seconds": 0.3}
    began = time.monotonic()
    told = failure(CheckDownload(**given, minutes={"le": 1}), host)
    assert time.monotonic() - began < 10, "the measurement has an end"
    assert "minutes is " in told.summary and "should be at most 1" in told.summary
    assert "6.0 GiB to download, about" in told.result["said"] and "MB/s from 127.0.0.1" in told.result["said"]
    expected = 6 * 1024**3 / (told.result["mb_per_second"] * 1e6) / 60
    assert abs(told.result["minutes"] - expected) < 0.05 * expected + 0.1
    CheckDownload(**given).observe(host)
    assert [one[0] for one in asked] == ["HEAD", "GET", "HEAD"], "the speed is measured once"
    assert asked[1][2] == "bytes=0-4194303"


def test_what_is_there_is_not_downloaded_and_nobody_is_asked(tmp_path: Path, host: Any) -> None:
    (tmp_path / "model").touch()
    check = CheckDownload({str(tmp_path / "model"): "http://127.0.0.1:1/model"}, minutes={"le": 1})
    check.observe(host)
    assert check.result(check, check, host)["said"] == "nothing to download"
    gone = CheckDownload({str(tmp_path / "other"): "http://127.0.0.1:1/model"}, timeout=2)
    assert "refused the connection" in failure(gone, host).summary


@pytest.mark.parametrize(("name", "fit"), [
    ("sphn-0.1.12-cp310-cp310-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
    ("torch-2.9.1-py3-none-any.whl", True),
    ("safetensors-0.4.5-cp38-abi3-manylinux_2_17_x86_64.whl", True),
    ("triton-3.0.0-1-cp310-cp310-manylinux2014_x86_64.whl", True),
    ("torch-2.9.1-cp310-cp310-manylinux_2_28_aarch64.whl", False),
    ("torch-2.9.1-cp313-cp313t-manylinux_2_28_x86_64.whl", False),
    ("sphn-0.1.12-cp310-cp310-musllinux_1_2_x86_64.whl", False),
    ("sphn-0.1.12-cp311-cp311-manylinux_2_17_x86_64.whl", False),
])
def test_a_wheel_fits_by_python_interface_and_platform(name: str, fit: bool) -> None:
    assert fits(name, "3.10.14", "x86_64") is fit


def test_a_missing_wheel_is_told_with_those_that_are_there(serve: Serve, host: Any) -> None:
    def index(request: http.server.BaseHTTPRequestHandler) -> None:
        links = "".join(f'<a href="../../files/{one}#sha256=0">{one}</a>' for one in (
            "sphn-0.1.12-cp310-cp310-manylinux_2_17_x86_64.whl", "sphn-0.2.0-cp313-cp313-manylinux_2_17_x86_64.whl"))
        request.send_response(200 if request.path == "/simple/sphn/" else 404)
        request.end_headers()
        request.wfile.write(links.encode())

    url = serve(index)
    check = CheckWheel("SPHN", f"{url}/simple/", "0.1")
    check.observe(host)
    assert check.result(check, check, host)["url"] == f"{url}/files/sphn-0.1.12-cp310-cp310-manylinux_2_17_x86_64.whl"
    told = failure(CheckWheel("sphn", f"{url}/simple", "0.1", "3.13"), host)
    assert told.summary.endswith("has no wheel of sphn 0.1 for Python 3.13 on x86_64")
    assert told.detail == "it has wheels for cp310 manylinux_2_17_x86_64"
    assert "answered 404" in failure(CheckWheel("torch", f"{url}/simple/"), host).summary


def test_a_repository_is_asked_as_git_asks_where_git_is_not_there(serve: Serve, tmp_path: Path, host: Any) -> None:
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.invalid", "-C", str(tmp_path / "r")]
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path / "r")], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    subprocess.run([*git, "tag", "-a", "v1", "-m", "x"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    argv = ["git", "upload-pack", "--stateless-rpc", "--advertise-refs", str(tmp_path / "r")]
    refs = subprocess.run(argv, check=True, capture_output=True).stdout

    def smart(request: http.server.BaseHTTPRequestHandler) -> None:
        known = request.path == "/r.git/info/refs?service=git-upload-pack"
        request.send_response(200 if known else 401)
        request.end_headers()
        request.wfile.write(b"001e# service=git-upload-pack\n0000" + refs if known else b"")

    url = serve(smart)
    for ref in ("HEAD", "main", "v1"):
        check = CheckGitRemote(f"{url}/r.git", ref, commit=commit)
        assert _without_git(check, host).look(host)["commit"] == commit
    missing = _without_git(CheckGitRemote(f"{url}/r.git", "other"), host)
    assert failure(missing, host).summary.endswith("has no other")
    told = failure(_without_git(CheckGitRemote(f"{url}/private.git"), host), host)
    assert "it answered 401" in told.summary and told.hint == "it does not exist, or wants a login"
    assert references(f"{commit}\trefs/heads/main\n".encode()) == [[commit, "refs/heads/main"]], "a dumb server"


def _without_git(check: CheckGitRemote, host: Any) -> CheckGitRemote:
    host.environment = {**host.environment, "PATH": "/nonexistent"}
    assert host.which("git") is None
    return check
