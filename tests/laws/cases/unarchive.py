"""Cases of the `unarchive` kind."""

from __future__ import annotations

from tests.laws.case import Case

_PACK = ["sh", "-c", (
    "mkdir -p {dir}/s/app/lib && cd {dir}/s && echo a > app/lib/a && ln -s lib/a app/l && echo r > app/run && "
    "chmod 0755 app/run && tar czf {dir}/a.tgz app && rm -r {dir}/s"
)]
_OLD = ["sh", "-c", "mkdir {dir}/d && cd {dir}/d && tar xzf {dir}/a.tgz"]
_SPOIL = ["sh", "-c", "rm {dir}/d/app/l; echo x > {dir}/d/app/run"]
_TASK = {"src": "{dir}/a.tgz", "remote_src": True, "dest": "{dir}/d"}

CASES = [
    Case("unarchive", "new directory", _TASK, setup=[_PACK]),
    Case("unarchive", "without its first part", {**_TASK, "strip_components": 1, "mode": "u=rwX,go="}, setup=[_PACK]),
    Case("unarchive", "put right", _TASK, setup=[_PACK, _OLD, _SPOIL]),
    Case("unarchive", "there already", _TASK, setup=[_PACK, _OLD], changes=False),
    Case("unarchive", "done before", {**_TASK, "creates": "{dir}/a.tgz"}, setup=[_PACK], changes=False),
]
