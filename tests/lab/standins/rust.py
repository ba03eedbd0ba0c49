"""A stand-in of Rust's distribution server: an installer, its checksum, and the channel file it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from .server import Server, files

RUSTUP = "1.28.2"
TOOLCHAIN = "1.85.1"
TRIPLE = "x86_64-unknown-linux-gnu"
INSTALLER = Path(__file__).parent / "files/rust/rustup-init"


class RustServer:
    """Serves rustup-init at the places where the real server has it."""

    def __init__(self, addresses: Sequence[str], directory: Path) -> None:
        self.rustup, self.toolchain, self.triple = RUSTUP, TOOLCHAIN, TRIPLE
        content = INSTALLER.read_bytes()
        self.sha256 = hashlib.sha256(content).hexdigest()
        "Of rustup-init."
        for place in (f"rustup/archive/{RUSTUP}/{TRIPLE}", f"rustup/dist/{TRIPLE}"):
            _write(directory / place / "rustup-init", content)
            _write(directory / place / "rustup-init.sha256", f"{self.sha256} *rustup-init\n".encode())
        channel = f'manifest-version = "2"\n[pkg.rustc]\nversion = "{TOOLCHAIN}"\n'.encode()
        for name in (TOOLCHAIN, "stable"):
            _write(directory / f"dist/channel-rust-{name}.toml", channel)
            digest = hashlib.sha256(channel).hexdigest()
            _write(
                directory / f"dist/channel-rust-{name}.toml.sha256", f"{digest}  channel-rust-{name}.toml\n".encode()
            )
        self.server = Server(addresses, files(directory))
        self.url = self.server.url
        "What RUSTUP_DIST_SERVER is set to."

    def close(self) -> None:
        """Stop serving."""
        self.server.close()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
