"""The stand-ins: each answers as its original does, on a real host where that is what counts."""

from __future__ import annotations

import shlex
import urllib.error
import urllib.request

import pytest

from .commands import CommandFailed
from .fingerprint import difference
from .host import LabHost
from .lab import Lab
from .tree import SUITES

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer, whatever the status."""
    request = urllib.request.Request(url, headers={key.replace("_", "-"): value for key, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def shell(host: LabHost, script: str, *words: str) -> str:
    """What a shell script prints on the host; any failing command fails it."""
    return host.run(["bash", "-c", f"set -euo pipefail\n{script}", "bash", *words]).stdout


def test_the_hub_keeps_its_gate(lab: Lab) -> None:
    hub = lab.standins.hub
    base = f"{hub.url}/{hub.repository}/resolve/main"
    good, refused = f"Bearer {hub.token}", f"Bearer {hub.token_without_licence}"
    status, headers, body = get(f"{base}/config.json", Authorization=good)
    assert (status, headers["X-Repo-Commit"], body) == (200, hub.commit, hub.files["config.json"].content)
    assert headers["ETag"] == f'"{hub.files["config.json"].etag}"'
    assert get(f"{base}/config.json")[0] == 401
    assert get(f"{base}/config.json", Authorization="Bearer hf_wrong")[0] == 401
    status, headers, _ = get(f"{base}/config.json", Authorization=refused)
    assert (status, headers["X-Error-Code"]) == (403, "GatedRepo")
    assert get(f"{hub.url}/api/whoami-v2", Authorization=refused)[0] == 200
    assert get(f"{hub.url}/api/whoami-v2")[0] == 401
    assert get(f"{base}/nothing", Authorization=good)[0] == 404


def test_the_hub_goes_on_where_a_download_stopped(lab: Lab) -> None:
    hub = lab.standins.hub
    whole = hub.files["model.safetensors"].content
    url = f"{hub.url}/{hub.repository}/resolve/main/model.safetensors"
    status, headers, body = get(url, Authorization=f"Bearer {hub.token}", Range="bytes=1000-")
    assert (status, body) == (206, whole[1000:])
    assert headers["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    assert hub.server.fetched("model.safetensors")[-1].status == 206


def test_apt_installs_the_toolkit_and_trusts_only_the_key(lab: Lab, lab_host: LabHost) -> None:
    apt = lab.standins.apt
    source = f"deb [signed-by=/usr/share/keyrings/cuda.asc] {apt.url} /"
    lab_host.run(["sh", "-c", f"echo {shlex.quote(source)} > /etc/apt/sources.list.d/cuda.list"])
    update = ["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any"]
    with pytest.raises(CommandFailed):
        lab_host.run(update)
    before = lab_host.fingerprint()
    lab_host.run(["tee", "/usr/share/keyrings/cuda.asc"], input=apt.key)
    lab_host.run(update)
    before = lab_host.fingerprint()
    lab_host.run(["apt-get", "install", "-q", "-y", "cuda-toolkit-12-8"])
    assert "release 12.8, V12.8.93" in lab_host.run(["/usr/local/cuda/bin/nvcc", "--version"]).stdout
    policy = lab_host.run(["apt-cache", "policy", "cuda-drivers"]).stdout
    assert "Installed: (none)" in policy and "570.124.06-1" in policy
    assert apt.server.fetched("cuda-nvcc") and not apt.server.fetched("cuda-drivers")
    lab_host.run(["apt-get", "purge", "-q", "-y", "--autoremove", "cuda-toolkit-12-8"])
    assert difference(before, lab_host.fingerprint()) == []


PYENV = """
apt-get update -q && apt-get install -q -y --no-install-recommends \
    git curl ca-certificates xz-utils make gcc libc6-dev {libraries} > /dev/null
git clone --quiet --depth 1 --branch v2.8.1 "$1" /opt/pyenv
git -C /opt/pyenv rev-parse HEAD
export PYENV_ROOT=/opt/pyenv PYTHON_BUILD_MIRROR_URL="$2"
/opt/pyenv/bin/pyenv install "$3" 2>&1
"""
LIBRARIES = "libssl-dev zlib1g-dev libffi-dev libbz2-dev liblzma-dev libsqlite3-dev libreadline-dev"

PERSONAPLEX = """
git clone --quiet "$1" /opt/personaplex
git -C /opt/personaplex rev-parse HEAD
/opt/pyenv/versions/"$2"/bin/python -m venv /opt/venv
export PIP_INDEX_URL="$3" PIP_TRUSTED_HOST="$4" PIP_DISABLE_PIP_VERSION_CHECK=1
/opt/venv/bin/pip install -q torch==2.9.1
sed -i 's/"torch >= 2.2.0, < 2.5"/"torch >= 2.2.0"/' /opt/personaplex/moshi/pyproject.toml
/opt/venv/bin/pip install -q /opt/personaplex/moshi
/opt/venv/bin/pip check
/opt/venv/bin/python -c 'import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())'
/opt/venv/bin/python -m moshi.server --help > /dev/null
"""

SERVE = """
export HF_ENDPOINT="$1" HF_TOKEN="$2" HF_HOME=/opt/hf
cd /opt/personaplex
/opt/venv/bin/python -m moshi.offline --device cpu --voice-prompt NATF2.pt --input-wav assets/test/input_service.wav \
    --output-wav /tmp/out.wav --output-text /tmp/out.json
apt-get install -q -y openssl > /dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -keyout /opt/key.pem -out /opt/cert.pem -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
/opt/venv/bin/python -m moshi.server --device cpu --host 127.0.0.1 --ssl /opt > /tmp/server.log 2>&1 &
for i in $(seq 100); do grep -q 'Running on' /tmp/server.log && break; sleep 0.1; done
ss -Htln sport = :8998 | awk '{print $4}' | sort
curl -s --cacert /opt/cert.pem -o /dev/null -w '%{http_code}\\n' https://127.0.0.1:8998/
curl -s --cacert /opt/cert.pem -o /dev/null -w '%{http_code}\\n' https://127.0.0.1:8998/api/chat
python3 -c "$3"
kill %1; wait %1; echo stopped with $?
"""

PROBE = """
import os, socket, ssl
context = ssl.create_default_context(cafile='/opt/cert.pem')
connection = context.wrap_socket(socket.create_connection(('127.0.0.1', 8998), 10), server_hostname='localhost')
path = '/api/chat?voice_prompt=NATF2.pt&text_prompt=hello'
key = 'dGhlIHNhbXBsZSBub25jZQ=='
lines = [f'GET {path} HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade', f'Sec-WebSocket-Key: {key}']
connection.sendall('\\r\\n'.join([*lines, 'Sec-WebSocket-Version: 13', '', '']).encode())
file = connection.makefile('rb')
head = [file.readline() for _ in range(5)]
assert b's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' in head[3], head
print('handshake', file.read(file.read(2)[1]))
"""


def test_a_forgotten_library_is_found_out(lab: Lab, lab_host: LabHost) -> None:
    """As with the real sources: no ssl without libssl-dev is an error, no ctypes without libffi-dev a warning."""
    standins = lab.standins
    words = [standins.git.url("pyenv"), standins.python.url, SUITES["bookworm"]]
    with pytest.raises(CommandFailed, match="ssl extension was not compiled"):
        shell(lab_host, PYENV.format(libraries="zlib1g-dev"), *words)
    assert lab_host.run(["ls", "/opt/pyenv/versions"]).stdout == ""


def test_personaplex_is_installed_and_serves(lab: Lab, lab_host: LabHost) -> None:
    git, python, index, hub = lab.standins.git, lab.standins.python, lab.standins.index, lab.standins.hub
    version = SUITES["bookworm"]
    said = shell(lab_host, PYENV.format(libraries=LIBRARIES), git.url("pyenv"), python.url, version)
    assert git.commits["pyenv"][-1] in said and "WARNING" not in said
    assert python.server.fetched(python.sha256[version])
    said = shell(lab_host, PERSONAPLEX, git.url("personaplex"), version, index.url, index.host)
    assert said.split()[0] == git.commits["personaplex"][-1]
    assert "2.9.1+cu128 12.8 False" in said and "No broken requirements found" in said
    assert not index.server.fetched("torch-2.4.1")
    assert shell(lab_host, SERVE, hub.url, hub.token, PROBE).splitlines()[-6:] == [
        "0.0.0.0:8998",
        "[::]:8998",
        "200",
        "400",
        r"handshake b'\x00'",
        "stopped with 0",
    ]
    assert lab_host.run(["stat", "-c", "%s", "/tmp/out.wav"]).stdout.strip() == str(44 + 2 * 480000)


def test_torch_knows_which_card_it_has_kernels_for(lab: Lab, lab_host: LabHost) -> None:
    index = lab.standins.index
    lab_host.insert_card()
    smi = ["nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader"]
    assert lab_host.run(smi).stdout == "NVIDIA GeForce RTX 5090, 12.0, 32607 MiB\n"
    compute = "import torch; print((torch.ones(2, 2, device='cuda') @ torch.ones(2, 2, device='cuda')).sum().item())"
    for version in ("2.9.1", "2.4.1"):
        name = f"torch-{version}-py3-none-any.whl"
        fetch = f"import urllib.request; urllib.request.urlretrieve('{index.server.url}/files/{name}', '/opt/{name}')"
        lab_host.run(["python3", "-c", fetch])
    torch = ["env", "PYTHONPATH=/opt/torch-2.9.1-py3-none-any.whl", "python3", "-c", compute]
    assert lab_host.run(torch).stdout == "8.0\n"
    with pytest.raises(CommandFailed, match="no kernel image is available"):
        lab_host.run([word.replace("2.9.1", "2.4.1") for word in torch])


def test_rustup_installs_a_toolchain(lab: Lab, lab_host: LabHost) -> None:
    rust = lab.standins.rust
    fetch = "import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], 'rustup-init')"
    url = f"{rust.url}/rustup/archive/{rust.rustup}/{rust.triple}/rustup-init"
    script = f"""
        cd /tmp && python3 -c {shlex.quote(fetch)} {url}
        echo '{rust.sha256}  rustup-init' | sha256sum --check --quiet
        chmod +x rustup-init && export RUSTUP_DIST_SERVER={rust.url} RUSTUP_HOME=/opt/rustup CARGO_HOME=/opt/cargo
        ./rustup-init -y --profile minimal --no-modify-path --default-toolchain {rust.toolchain}
        /opt/cargo/bin/rustc --version && /opt/cargo/bin/cargo --version
    """
    assert shell(lab_host, script).split()[:2] == ["rustc", rust.toolchain]
    assert rust.server.fetched("channel-rust")
    assert get(f"{url}.sha256")[2].split()[0].decode() == rust.sha256
