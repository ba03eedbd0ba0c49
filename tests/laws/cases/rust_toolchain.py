"""Cases of the `rust_toolchain` kind; the mirror is a directory, and its installer only writes what is looked for."""

from __future__ import annotations

import os

from tests.laws.case import Case

_TRIPLE = f"{os.uname().machine}-unknown-linux-gnu"
_MIRROR = ["sh", "-c", (
    f"p={{dir}}/mirror/rustup/dist/{_TRIPLE} && mkdir -p $p && cat > $p/rustup-init <<'END'\n"
    "#!/bin/sh\n"
    f"t=$RUSTUP_HOME/toolchains/1.85.1-{_TRIPLE}\n"
    "mkdir -p $t $CARGO_HOME/bin\n"
    f"echo 'default_toolchain = \"1.85.1-{_TRIPLE}\"' > $RUSTUP_HOME/settings.toml\n"
    "for n in rustc rustup; do printf '#!/bin/sh\\n' > $CARGO_HOME/bin/$n; chmod 0755 $CARGO_HOME/bin/$n; done\n"
    "END\n"
    "cd $p && sha256sum rustup-init > rustup-init.sha256"
)]
_TASK = {
    "toolchain": "1.85.1", "dist_server": "file://{dir}/mirror", "rustup_home": "{dir}/rustup",
    "cargo_home": "{dir}/cargo",
}
_DONE = ["sh", "-c", (
    f"RUSTUP_HOME={{dir}}/rustup CARGO_HOME={{dir}}/cargo sh {{dir}}/mirror/rustup/dist/{_TRIPLE}/rustup-init"
)]

CASES = [
    Case("rust_toolchain", "installed", _TASK, setup=[_MIRROR]),
    Case(
        "rust_toolchain", "in place of a broken one", _TASK,
        setup=[_MIRROR, _DONE, ["sh", "-c", "rm {dir}/cargo/bin/rustup; echo 'exit 1' >> {dir}/cargo/bin/rustc"]],
    ),
    Case("rust_toolchain", "there already", _TASK, setup=[_MIRROR, _DONE], changes=False),
]
