"""The `rust_toolchain` kind."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Iterator, List, Literal

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass, field
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources._attributes import check_path
from personaplex_provision.agent.resources._download import Checksum, fetched, resolve
from personaplex_provision.agent.resources._http import Request

EXAMPLE = """
- name: the Rust that builds sphn where it has no wheel
  rust_toolchain:
    toolchain: 1.85.1
    rustup_version: 1.28.2
    rustup_home: /opt/rust/rustup
    cargo_home: /opt/rust/cargo
"""
_SERVER = "https://static.rust-lang.org"
_LONG = 3600.0


@dataclass
class RustToolchain(Resource):
    """A Rust toolchain, installed by rustup.

    rustup-init is fetched with its digest and verified before it runs. In state when the toolchain with its components
    is there, is the default, and rustc answers. No shell profile is touched. Taken back exactly: both trees are kept
    whole.
    """

    kind = "rust_toolchain"
    reversible_why = "Both trees, rustup's and cargo's, are kept whole before they are changed, and come back."
    slow = True
    identity = ("rustup_home", "cargo_home")
    unmanaged = ("profile", "rustup_version", "dist_server", "update_root", "init_sha256")

    toolchain: str = "stable"
    "Version (1.85.1) or channel (stable) of Rust; the default one afterwards."
    profile: Literal["minimal", "default", "complete"] = "minimal"
    "Which components come with a toolchain that is installed."
    components: List[str] = field(default_factory=list)
    "Further components (clippy, rust-src)."
    rustup_version: str | None = None
    "Version of rustup that is fetched; the newest when left out."
    dist_server: str | None = None
    "Mirror of the toolchains (RUSTUP_DIST_SERVER)."
    update_root: str | None = None
    "Mirror of rustup (RUSTUP_UPDATE_ROOT); `DIST_SERVER/rustup` when left out."
    rustup_home: str = "~/.rustup"
    "Directory of the toolchains."
    cargo_home: str = "~/.cargo"
    "Directory of cargo and of the commands, in `bin`."
    init_sha256: str | None = None
    "Digest of rustup-init; taken from the server's file beside it when left out."
    state: str = observed("present")
    "`present`, `absent`, or `broken` where rustc does not answer."

    def validate(self) -> Iterator[str]:
        yield from check_path("rustup_home", self.rustup_home)
        yield from check_path("cargo_home", self.cargo_home)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.toolchain):
            yield f'toolchain "{self.toolchain}" is no version or channel'
        if self.init_sha256 and not re.fullmatch(r"[0-9a-f]{64}", self.init_sha256):
            yield "init_sha256 has 64 hexadecimal digits in lower case"

    def observe(self, host: Host) -> RustToolchain:
        rustup, cargo = host.expand(self.rustup_home), host.expand(self.cargo_home)
        now = RustToolchain(self.toolchain, rustup_home=self.rustup_home, cargo_home=self.cargo_home)
        planned = host.declared("rust", rustup)
        if planned:
            now.toolchain, now.components = planned["toolchain"], planned["components"]
            return now
        name = self._directory_name()
        top = f"{rustup}/toolchains/{name}"
        if not host.stat(top, follow=True).exists or not host.stat(f"{cargo}/bin/rustc", follow=True).exists:
            now.state = "absent"
            now.components = []
            return now
        now.components = [one for one in self.components if one in _components(host, top)]
        default = _default(host, rustup)
        now.toolchain = self.toolchain if default in (self.toolchain, name) else default
        found = host.query([f"{cargo}/bin/rustc", "--version"], reads=[rustup, cargo], env=self._homes(host))
        if found.rc != 0:
            now.state = "broken"
        return now

    def diff(self, now: RustToolchain) -> List[Change]:
        if now.state != "present":
            return [Change("toolchain", None if now.state == "absent" else "does not answer", self.toolchain)]
        return super().diff(now)

    def action(self, now: RustToolchain, changes: List[Change]) -> str:
        return "none" if not changes else "create" if now.state == "absent" else "update"

    def converge(self, now: RustToolchain, host: Host) -> None:
        rustup, cargo = host.expand(self.rustup_home), host.expand(self.cargo_home)
        trees = [rustup, cargo]
        if now.state != "present" or not host.stat(f"{cargo}/bin/rustup", follow=True).exists:
            for one in trees:
                host.touch_image(one, whole=True)
            self._install(host, cargo, trees)
        program = [f"{cargo}/bin/rustup"]
        settled = self.observe(host)
        missing = [one for one in self.components if one not in settled.components]
        if missing and settled.state == "present":
            words = ["component", "add", "--toolchain", self.toolchain, *missing]
            self._run(host, [*program, *words], trees)
        if settled.state == "present" and settled.toolchain != self.toolchain:
            self._run(host, [*program, "default", self.toolchain], trees)

    def recover(self, before: RustToolchain, host: Host) -> None:
        host.remove(_installer(host.expand(self.cargo_home)))

    def predict(self, now: RustToolchain, host: Host) -> None:
        for one in (self.rustup_home, self.cargo_home):
            host.touch_image(host.expand(one), whole=True)
        host.opaque(host.expand(self.rustup_home))
        host.opaque(host.expand(self.cargo_home))
        declared = {"toolchain": self.toolchain, "components": list(self.components)}
        host.declare("rust", host.expand(self.rustup_home), declared)

    def result(self, now: RustToolchain, after: RustToolchain, host: Host) -> Dict[str, Any]:
        return {"toolchain": self.toolchain, "path": f"{host.expand(self.cargo_home)}/bin"}

    def provides(self) -> List[Address]:
        return [("path", self.rustup_home.rstrip("/")), ("path", self.cargo_home.rstrip("/"))]

    def needs(self) -> List[Address]:
        return [("path", os.path.dirname(one.rstrip("/"))) for one in (self.rustup_home, self.cargo_home)]

    def _install(self, host: Host, cargo: str, trees: List[str]) -> None:
        host.mkdir(cargo)
        at = _installer(cargo)
        request = Request(self._init_url(), follow="all")
        checksum = Checksum("sha256", self.init_sha256 or "", f"{request.url}.sha256")
        with fetched(request, host, resolve(checksum, request, host)) as (file, _):
            file.seek(0)
            host.write(at, iter(lambda: file.read(1 << 20), b""), mode=0o755)
        words = ["-y", "--no-modify-path", "--profile", self.profile, "--default-toolchain", self.toolchain]
        try:
            self._run(host, [at, *words], trees)
        finally:
            host.remove(at)

    def _run(self, host: Host, argv: List[str], trees: List[str]) -> None:
        timeout = host.timeout or _LONG
        found = host.run(argv, trees=trees, env=self._homes(host), check=False, timeout=timeout)
        if found.rc != 0:
            said = found.stderr.strip() or found.stdout.strip()
            hint = "give dist_server for a mirror" if "could not download" in said else ""
            raise ResourceError(
                f"{os.path.basename(argv[0])} failed", "\n".join(said.splitlines()[-20:]), hint,
                {"rc": found.rc, "stderr": said},
            )

    def _init_url(self) -> str:
        root = self.update_root or f"{(self.dist_server or _SERVER).rstrip('/')}/rustup"
        where = f"archive/{self.rustup_version}" if self.rustup_version else "dist"
        return f"{root.rstrip('/')}/{where}/{_triple()}/rustup-init"

    def _homes(self, host: Host) -> Dict[str, str]:
        found = {"RUSTUP_HOME": host.expand(self.rustup_home), "CARGO_HOME": host.expand(self.cargo_home)}
        if self.dist_server:
            found["RUSTUP_DIST_SERVER"] = self.dist_server.rstrip("/")
        if self.update_root:
            found["RUSTUP_UPDATE_ROOT"] = self.update_root.rstrip("/")
        # An older cargo on the PATH would make rustup-init stop and ask.
        return {**found, "RUSTUP_INIT_SKIP_PATH_CHECK": "yes"}

    def _directory_name(self) -> str:
        return self.toolchain if self.toolchain.endswith(_triple()) else f"{self.toolchain}-{_triple()}"


def _triple() -> str:
    return f"{os.uname().machine}-unknown-linux-gnu"


def _components(host: Host, top: str) -> List[str]:
    try:
        text = host.read_text(f"{top}/lib/rustlib/components")
    except OSError:
        return []
    return [line.strip().replace(f"-{_triple()}", "") for line in text.splitlines()]


def _default(host: Host, rustup: str) -> str:
    try:
        text = host.read_text(f"{rustup}/settings.toml")
    except OSError:
        return ""
    found = re.search(r'(?m)^default_toolchain\s*=\s*"([^"]*)"', text)
    return found[1] if found else ""


def _installer(cargo: str) -> str:
    return f"{cargo}/rustup-init"
