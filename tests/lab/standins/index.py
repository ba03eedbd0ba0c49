"""A stand-in of the Python package index: made wheels for every pin of PersonaPlex, and the traps beside them."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .server import Reply, Request, Server
from .wheel import Wheel, package
from .wheels import wheels

SITE = Path(__file__).parent / "site-packages"

TORCH: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # version: (CUDA, architectures, Pythons, what it requires). As upstream: 2.4.1 is what PersonaPlex's pin resolves
    # to and has no kernels for Blackwell; 2.9.1 has; the newest one needs a newer driver.
    "2.4.1": ("12.1", "50 60 70 75 80 86 90", ">=3.8", ("nvidia-cuda-runtime-cu12==12.1.105", "triton==3.0.0")),
    "2.9.1": ("12.8", "70 75 80 86 90 100 120", ">=3.10", ("nvidia-cuda-runtime-cu12==12.8.90", "triton==3.5.1")),
    "2.14.0": ("13.0", "75 80 86 90 100 120", ">=3.10", ("nvidia-cuda-runtime==13.0.96", "triton==3.5.1")),
}

SAFETENSORS = "class SafetensorError(Exception):\n    pass\n"
SOUNDDEVICE = "import ctypes.util\nif not ctypes.util.find_library('portaudio'):\n"
SOUNDDEVICE += "    raise OSError('PortAudio library not found')\n"

SIMPLE: tuple[tuple[str, str, str, str, str, tuple[str, ...]], ...] = (
    # name, version, module, what is in it beside its version, Pythons, what it requires
    ("safetensors", "0.4.5", "safetensors", SAFETENSORS, ">=3.7", ()),
    ("einops", "0.7.0", "einops", "", ">=3.8", ()),
    ("sentencepiece", "0.2.0", "sentencepiece", "", ">=3.6", ()),
    ("sounddevice", "0.5.0", "sounddevice", SOUNDDEVICE, ">=3.7", ()),
    ("triton", "3.0.0", "triton", "", ">=3.8", ()),
    ("triton", "3.5.1", "triton", "", ">=3.10", ()),
    ("nvidia-cuda-runtime-cu12", "12.1.105", "nvidia.cuda_runtime", "", ">=3", ()),
    ("nvidia-cuda-runtime-cu12", "12.8.90", "nvidia.cuda_runtime", "", ">=3", ()),
    ("nvidia-cuda-runtime", "13.0.96", "nvidia.cu13", "", ">=3", ()),
    ("python-dotenv", "1.0.1", "dotenv", "", ">=3.8", ()),
    ("accelerate", "1.2.1", "accelerate", "", ">=3.9", ("huggingface-hub>=0.21", "safetensors>=0.4.3", "torch>=1.10")),
    # Kyutai's own distribution: another one with the same import package, never to be installed beside PersonaPlex.
    ("moshi", "0.2.13", "moshi", "", ">=3.10", ()),
)  # fmt: skip


def made() -> list[Wheel]:
    """Every wheel that is made for the index."""
    found = [
        Wheel("aiohttp", "3.10.11", package(SITE, "aiohttp")),
        Wheel("numpy", "2.1.3", package(SITE, "numpy")),
        Wheel("sphn", "0.1.12", package(SITE, "sphn")),
        Wheel(
            "huggingface-hub",
            "0.24.7",
            package(SITE, "huggingface_hub"),
            scripts={"huggingface-cli": "huggingface_hub.cli:main"},
        ),
    ]
    for version, (cuda, numbers, python, pins) in TORCH.items():
        architectures = " ".join(f"sm_{number}" for number in numbers.split())
        text = (
            f'__version__ = "{version}+cu{cuda.replace(".", "")}"\ncuda = "{cuda}"\narchitectures = "{architectures}"\n'
        )
        content = {**package(SITE, "torch"), "torch/version.py": text}
        found.append(Wheel("torch", version, content, pins, python))
    for name, version, module, text, python, requires in SIMPLE:
        path = f"{module.replace('.', '/')}/__init__.py"
        found.append(Wheel(name, version, {path: f'__version__ = "{version}"\n{text}'}, requires, python))
    return found


class PackageIndex:
    """The index: `/simple/` as PEP 503 has it, and the files."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._files: dict[str, tuple[bytes, str]] = {}
        for wheel in made():
            self._files[wheel.filename] = (wheel.content(), wheel.python)
        for path in wheels():
            self._files[path.name] = (path.read_bytes(), ">=3.8")
        self.server = Server(addresses, self._answer)
        self.url = f"{self.server.url}/simple/"
        "What pip takes as its index."
        self.host = addresses[0]
        "The host that pip must be told to trust, since there is no TLS."

    def sha256(self, filename: str) -> str:
        """The digest of a file of the index."""
        return hashlib.sha256(self._files[filename][0]).hexdigest()

    def close(self) -> None:
        """Stop serving."""
        self.server.close()

    def _answer(self, request: Request) -> Reply:
        folder, _, rest = request.path.lstrip("/").partition("/")
        if folder == "files" and rest in self._files:
            return Reply(headers={"Content-Type": "application/octet-stream"}, body=self._files[rest][0])
        if folder != "simple":
            return Reply(404)
        projects = {_normal(name.split("-")[0]) for name in self._files}
        if not rest:
            return _page(f'<a href="/simple/{name}/">{name}</a>' for name in sorted(projects))
        wanted = rest.strip("/")
        if wanted not in projects:
            return Reply(404)
        return _page(self._link(name) for name in sorted(self._files) if _normal(name.split("-")[0]) == wanted)

    def _link(self, name: str) -> str:
        python = html.escape(self._files[name][1])
        return f'<a href="/files/{name}#sha256={self.sha256(name)}" data-requires-python="{python}">{name}</a>'


def _page(links: Iterable[str]) -> Reply:
    body = "<!DOCTYPE html>\n<html><body>\n" + "\n".join(links) + "\n</body></html>\n"
    return Reply(headers={"Content-Type": "text/html"}, body=body.encode())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
