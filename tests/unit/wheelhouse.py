"""Tiny wheels, and projects with a build backend of their own, so that real pip has something to install offline."""

from __future__ import annotations

import zipfile
from pathlib import Path

_BACKEND = '''
import os, sys, zipfile
sys.dont_write_bytecode = True
NAME, VERSION, REQUIRES = {name!r}, {version!r}, {requires!r}

def _write(folder, inside):
    stem = NAME.replace("-", "_") + "-" + VERSION
    with zipfile.ZipFile(os.path.join(folder, stem + "-py3-none-any.whl"), "w") as file:
        info = stem + ".dist-info/"
        file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n%s" % (
            NAME, VERSION, "".join("Requires-Dist: %s\\n" % one for one in REQUIRES)))
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        for path, data in inside.items():
            file.writestr(path, data)
        file.writestr(info + "RECORD", "".join("%s,,\\n" % one for one in file.namelist()))
    return stem + "-py3-none-any.whl"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with open("code.py") as file:
        return _write(folder, {{{package!r} + "/__init__.py": file.read()}})

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _write(folder, {{NAME + ".pth": os.getcwd() + "\\n"}})
'''


def wheel(
    folder: Path, name: str, version: str, requires: tuple[str, ...] = (), package: str = "", code: str = "",
) -> Path:
    """A wheel whose package holds one file with `code`."""
    folder.mkdir(exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    needs += "Provides-Extra: more\n" if "extra ==" in needs else ""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{package or name.replace('-', '_')}/__init__.py", code or f"version = {version!r}\n")
        info = f"{stem}.dist-info"
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "".join(f"{one},,\n" for one in file.namelist()) + f"{info}/RECORD,,\n")
    return path


def project(folder: Path, name: str, version: str, requires: tuple[str, ...] = (), package: str = "") -> Path:
    """A directory that pip can build without the network."""
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (folder / "backend.py").write_text(
        _BACKEND.format(name=name, version=version, requires=requires, package=package or name.replace("-", "_"))
    )
    (folder / "code.py").write_text("made = 1\n")
    return folder
