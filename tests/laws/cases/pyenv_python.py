"""Cases of the `pyenv_python` kind, with a pyenv whose python-build only makes a link."""

from __future__ import annotations

import platform
import sys

from tests.laws.case import Case

_VERSION = platform.python_version()
_PYENV = ["sh", "-c", (
    "p={dir}/pyenv/plugins/python-build && mkdir -p $p/bin $p/share/python-build && "
    f"touch $p/share/python-build/{_VERSION} && "
    f"printf '#!/bin/sh\\nmkdir -p $2/bin\\nln -s {sys.executable} $2/bin/python\\n' > $p/bin/python-build && "
    "chmod 0755 $p/bin/python-build"
)]
_BUILT = ["sh", "-c", f"{{dir}}/pyenv/plugins/python-build/bin/python-build x {{dir}}/pyenv/versions/{_VERSION}"]
_BROKEN = ["mkdir", "-p", f"{{dir}}/pyenv/versions/{_VERSION}/lib"]
_FULL = ["touch", f"{{dir}}/pyenv/versions/{_VERSION}/lib/kept"]
_TASK = {"version": _VERSION, "root": "{dir}/pyenv", "verify_modules": ["json"]}

CASES = [
    Case("pyenv_python", "built", _TASK, setup=[_PYENV]),
    Case("pyenv_python", "there already", _TASK, setup=[_PYENV, _BUILT], changes=False),
    Case("pyenv_python", "in place of a broken one", _TASK, setup=[_PYENV, _BROKEN, _FULL]),
]
