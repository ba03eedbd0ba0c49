"""Examples of the kind `apt_repository`."""

from tests.laws.case import Case

_LINE = "deb [trusted=yes] http://tools.example.org/debian stable main"
_ADD = ["sh", "-c", f"echo '{_LINE}' > /etc/apt/sources.list.d/tools.list"]

CASES = [
    Case("apt_repository", "added", {"repo": _LINE, "filename": "tools", "update_cache": False}, lab=True),
    Case("apt_repository", "removed with its file", {"repo": _LINE, "state": "absent"}, [_ADD], lab=True),
    Case(
        "apt_repository", "removed from among others", {"repo": _LINE, "state": "absent"},
        [["sh", "-c", f"echo '{_LINE}' >> /etc/apt/sources.list"]], lab=True,
    ),
    Case(
        "apt_repository", "there with other spaces", {"repo": _LINE.replace(" ", "  ")}, [_ADD],
        lab=True, changes=False,
    ),
]
