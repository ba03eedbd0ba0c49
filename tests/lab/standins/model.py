"""The files of the model repository: small and made, yet whole in every respect that is checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from dataclasses import dataclass

VOICES = tuple(
    f"{kind}{number}" for kind, count in (("NATF", 4), ("NATM", 4), ("VARF", 5), ("VARM", 5)) for number in range(count)
)
"""The names of the 18 voices."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the hub."""

    content: bytes
    large: bool = True
    "Whether it is stored as a large file, and so is named by its SHA-256; a small one is named by its git blob id."

    @property
    def sha256(self) -> str:
        """The digest of the content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        """How the hub names the content."""
        return self.sha256 if self.large else hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()


def model_files() -> dict[str, HubFile]:
    """Name -> file."""
    page = b"<!DOCTYPE html>\n<title>PersonaPlex (stand-in)</title>\n"
    config = json.dumps({"model_type": "personaplex", "version": "7b-v1", "stand_in": True}, indent=2).encode()
    return {
        ".gitattributes": HubFile(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n", large=False),
        "README.md": HubFile(b"# personaplex-7b-v1 (stand-in)\n", large=False),
        "config.json": HubFile(config, large=False),
        "voices.tgz": HubFile(_tgz({f"voices/{name}.pt": _noise(name, 3000) for name in VOICES})),
        "dist.tgz": HubFile(_tgz({"dist/index.html": page, "dist/assets/index.js": b"// stand-in\n"})),
        "tokenizer_spm_32k_3.model": HubFile(_noise("text tokenizer", 50_000)),
        "tokenizer-e351c8d8-checkpoint125.safetensors": HubFile(_safetensors("mimi", 1 << 20)),
        "model.safetensors": HubFile(_safetensors("text_linear.weight", 4 << 20)),
    }


def _noise(seed: str, size: int) -> bytes:
    """Bytes that look random and are not; they do not compress."""
    return hashlib.shake_128(seed.encode()).digest(size)


def _safetensors(tensor: str, size: int) -> bytes:
    entry = {tensor: {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}
    header = json.dumps(entry).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + _noise(tensor, size)


def _tgz(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1740000000
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1, mtime=0)
