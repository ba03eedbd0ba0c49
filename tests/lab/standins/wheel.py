"""Makes wheels: the same content is the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Wheel:
    """A pure Python wheel to be made."""

    name: str
    version: str
    files: Mapping[str, str]
    "Path in site-packages -> content."
    requires: tuple[str, ...] = ()
    python: str = ">=3.8"
    "Which Pythons may install it."
    scripts: Mapping[str, str] = field(default_factory=dict)
    "Command -> `module:function`."

    @property
    def filename(self) -> str:
        """The name of the made file."""
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"

    def content(self) -> bytes:
        """The wheel."""
        info = f"{self.name.replace('-', '_')}-{self.version}.dist-info"
        files = {**self.files, f"{info}/METADATA": self._metadata()}
        files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        if self.scripts:
            lines = [f"{command} = {target}\n" for command, target in self.scripts.items()]
            files[f"{info}/entry_points.txt"] = "[console_scripts]\n" + "".join(lines)
        record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items())
        files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, text in files.items():
                member = zipfile.ZipInfo(path, (2025, 2, 20, 0, 0, 0))
                member.external_attr = 0o644 << 16
                archive.writestr(member, text)
        return buffer.getvalue()

    def _metadata(self) -> str:
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Python: {self.python}", *(f"Requires-Dist: {pin}" for pin in self.requires)]
        return "\n".join(lines) + "\n"


def package(root: Path, name: str) -> dict[str, str]:
    """The files of the package `name` under `root`, as a wheel wants them."""
    paths = sorted(path for path in (root / name).rglob("*") if path.suffix in (".py", ".typed"))
    return {str(path.relative_to(root)): path.read_text() for path in paths}


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
