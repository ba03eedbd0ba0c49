"""Starts `moshi.server` so that it listens where it is told: `launcher.py ADDRESS [ARGUMENT…]`.

The server hands its --host to nothing, and aiohttp without a host listens on every address of the machine. This runs
the installed server as it is, as `python -m moshi.server` would, and adds the address when it calls `run_app`. (The
console script `moshi-server` is no way: it starts the server when it is imported, and once more after it was stopped.)
"""

from __future__ import annotations

import runpy
import sys
from typing import Any

from aiohttp import web

run_app = web.run_app


def run_app_bound(app: Any, **settings: Any) -> None:
    """`aiohttp.web.run_app` on one address, whatever the caller left out."""
    run_app(app, **{**settings, "host": address})


address = sys.argv.pop(1)
web.run_app = run_app_bound
# `--host` decides only what is printed; `localhost`, the default, would ask for a route to the Internet first.
sys.argv += ["--host", address]
runpy.run_module("moshi.server", run_name="__main__", alter_sys=True)
