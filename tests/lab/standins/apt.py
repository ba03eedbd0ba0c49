"""A stand-in of NVIDIA's apt repository for WSL: flat, signed, with a toolkit to install and drivers to avoid."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..commands import output, run
from .deb import Package, build
from .server import Server, files

PLACE = "compute/cuda/repos/wsl-ubuntu/x86_64"

NVCC = """#!/bin/sh
# A stand-in: it knows its version and compiles nothing.
case "$1" in
--version | -V) cat <<'END'
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2025 NVIDIA Corporation
Built on Fri_Feb_21_20:23:50_PST_2025
Cuda compilation tools, release 12.8, V12.8.93
Build cuda_12.8.r12.8/compiler.35583870_0
END
;;
*) echo "nvcc fatal   : No input files specified; use option --help for more information" >&2; exit 1 ;;
esac
"""

PACKAGES = (
    Package("cuda-toolkit-12-8", "12.8.1-1", "CUDA Toolkit 12.8 meta-package", "cuda-nvcc-12-8 (>= 12.8.93)"),
    Package(
        "cuda-nvcc-12-8",
        "12.8.93-1",
        "CUDA nvcc",
        "cuda-toolkit-12-8-config-common",
        files={"/usr/local/cuda-12.8/bin/nvcc": NVCC, "/usr/local/cuda-12.8/lib64/README": "A stand-in.\n"},
    ),
    Package(
        "cuda-toolkit-12-8-config-common",
        "12.8.90-1",
        "Common config package for CUDA Toolkit 12.8",
        files={"/etc/ld.so.conf.d/988_cuda-12.conf": "/usr/local/cuda-12/targets/x86_64-linux/lib\n"},
        scripts={
            "postinst": "update-alternatives --install /usr/local/cuda cuda /usr/local/cuda-12.8 128\n"
            "update-alternatives --install /usr/local/cuda-12 cuda-12 /usr/local/cuda-12.8 128",
            "prerm": "update-alternatives --remove cuda /usr/local/cuda-12.8\n"
            "update-alternatives --remove cuda-12 /usr/local/cuda-12.8",
        },
    ),
    # The trap: in WSL the driver is Windows's, and these put another one over it.
    Package("cuda", "12.8.1-1", "CUDA meta-package", "cuda-toolkit-12-8, cuda-drivers"),
    Package("cuda-drivers", "570.124.06-1", "NVIDIA Driver meta-package", "nvidia-driver-570"),
    Package(
        "nvidia-driver-570",
        "570.124.06-1",
        "NVIDIA driver metapackage",
        files={"/usr/lib/x86_64-linux-gnu/libcuda.so.1": "not the driver of this machine\n"},
    ),
)


class AptRepository:
    """The repository. Its key is made anew each time, so nothing can be trusted that was not taken from here."""

    def __init__(self, addresses: Sequence[str], directory: Path, packages: Sequence[Package] = PACKAGES) -> None:
        root = directory / "root" / PLACE
        root.mkdir(parents=True)
        self._home = directory / "gnupg"
        self._home.mkdir(mode=0o700)
        entries = [_entry(package, root, directory) for package in packages]
        listing = "\n".join(entries).encode()
        (root / "Packages").write_bytes(listing)
        (root / "Packages.gz").write_bytes(gzip.compress(listing, mtime=0))
        (root / "Release").write_text(_release(root, ("Packages", "Packages.gz")))
        (root / "cuda-wsl-ubuntu.pin").write_text("Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: 600\n")
        self.fingerprint = self._sign(root)
        "The fingerprint of the signing key: forty hexadecimal digits."
        self.key = (root / "3bf863cc.pub").read_text()
        "The public key, armoured."
        self.server = Server(addresses, files(directory / "root"))
        self.url = f"{self.server.url}/{PLACE}/"
        "What stands in a source line: `deb [signed-by=…] URL /`."
        self.key_url = f"{self.url}3bf863cc.pub"

    def close(self) -> None:
        """Stop serving."""
        self.server.close()

    def _sign(self, root: Path) -> str:
        gpg = [
            "gpg",
            "--homedir",
            str(self._home),
            "--batch",
            "--quiet",
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
        ]
        try:
            run([*gpg, "--quick-generate-key", "cudatools <cudatools@lab.invalid>", "ed25519", "sign", "never"])
            run([*gpg, "--armor", "--output", str(root / "3bf863cc.pub"), "--export"])
            release = str(root / "Release")
            run([*gpg, "--armor", "--detach-sign", "--output", f"{release}.gpg", release])
            run([*gpg, "--clearsign", "--output", str(root / "InRelease"), release])
            listed = output([*gpg, "--with-colons", "--list-keys"]).splitlines()
        finally:
            run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False)
            shutil.rmtree(self._home)
        return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))


def _entry(package: Package, root: Path, directory: Path) -> str:
    """The paragraph of one package in the list of packages."""
    made = build(package, directory)
    content = made.read_bytes()
    made.rename(root / package.filename)
    digest = hashlib.sha256(content).hexdigest()
    return f"{package.control()}Filename: ./{package.filename}\nSize: {len(content)}\nSHA256: {digest}\n"


def _release(root: Path, names: Sequence[str]) -> str:
    lines = [
        "Origin: NVIDIA",
        "Label: NVIDIA CUDA",
        "Architecture: amd64",
        "Date: Wed, 26 Feb 2025 00:00:00 UTC",
        "SHA256:",
    ]
    for name in names:
        content = (root / name).read_bytes()
        lines.append(f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}")
    return "\n".join(lines) + "\n"
