"""Cases of the `pip` kind; a wheel is written by the setup, so that no network is asked."""

from __future__ import annotations

import os
import sys

import pip

from tests.laws.case import Case

_VENV = [sys.executable, "-m", "venv", "{dir}/v"]
_ELSEWHERE = os.path.dirname(os.path.dirname(pip.__file__))
_QUICK = ["sh", "-c", (
    f"{sys.executable} -m venv --without-pip {{dir}}/v && "
    f"for d in {{dir}}/v/lib/python3*/site-packages; do echo {_ELSEWHERE} > $d/pip.pth; done"
)]
_WHEELS = [sys.executable, "-c", (
    "import zipfile,os\n"
    "os.makedirs('{dir}/w')\n"
    "for v in '1.0','2.0':\n"
    "  with zipfile.ZipFile('{dir}/w/tool-%s-py3-none-any.whl'%v,'w') as f:\n"
    "    f.writestr('tool.py','v=%r'%v)\n"
    "    i='tool-%s.dist-info/'%v\n"
    "    f.writestr(i+'METADATA','Metadata-Version: 2.1\\nName: tool\\nVersion: %s\\n'%v)\n"
    "    f.writestr(i+'WHEEL','Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
    "    f.writestr(i+'RECORD','tool.py,,\\n'+i+'METADATA,,\\n'+i+'WHEEL,,\\n'+i+'RECORD,,\\n')\n"
)]
_OLD = ["{dir}/v/bin/python", "-m", "pip", "install", "-q", "--no-index", "{dir}/w/tool-1.0-py3-none-any.whl"]
_PLACE = {"virtualenv": "{dir}/v", "no_index": True, "find_links": ["{dir}/w"]}

CASES = [
    Case("pip", "installed", {"name": "tool==1.0", **_PLACE}, setup=[_VENV, _WHEELS], kills=False),
    Case(
        "pip", "another version", {"name": "tool", "version": "2.0", **_PLACE},
        setup=[_VENV, _WHEELS, _OLD], kills=False,
    ),
    Case("pip", "removed", {"name": "tool", "state": "absent", **_PLACE}, setup=[_VENV, _WHEELS, _OLD], kills=False),
    Case(
        "pip", "another version, with a pip of elsewhere", {"name": "tool", "version": "2.0", **_PLACE},
        setup=[_QUICK, _WHEELS, _OLD],
    ),
    Case("pip", "there already", {"name": "tool<2", **_PLACE}, setup=[_VENV, _WHEELS, _OLD], changes=False),
]
