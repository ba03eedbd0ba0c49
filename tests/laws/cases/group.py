"""Examples of the kind `group`."""

from tests.laws.case import Case

CASES = [
    Case("group", "made with an id", {"name": "gpu", "gid": 2000}, lab=True),
    Case("group", "a system group", {"name": "render2", "system": True}, lab=True),
    Case("group", "another id, which passwd names too", {"name": "lab", "gid": 2345}, lab=True),
    Case("group", "removed", {"name": "audio", "state": "absent"}, lab=True),
    Case("group", "there already", {"name": "audio"}, lab=True, changes=False),
    Case("group", "gone already", {"name": "nobody-has-it", "state": "absent"}, lab=True, changes=False),
]
