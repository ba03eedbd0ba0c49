"""Examples of the kind `deb822_repository`."""

from tests.laws.case import Case

KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawM4nhYJKwYBBAHaRw8BAQdAvxAxdydRzhJZ6IUrD1JcjenpG4/TbnspkL2e
DAXo2jm0GkxhYiBSZXBvIDxsYWJAZXhhbXBsZS5vcmc+iJAEExYIADgWIQSVp7Gi
YIgP/amPi+ul9lcylPDBegUCawM4ngIbAwULCQgHAgYVCgkICwIEFgIDAQIeAQIX
gAAKCRCl9lcylPDBenoTAQCVPKGCmQbKM+/eNyboPG0wnP9/+wtQWO4A3Xi/fLgg
swEA4sW+iQdOzLvN3pkV2mcKIxvyfLLszO19dvOf6hHhLwU=
=qSN1
-----END PGP PUBLIC KEY BLOCK-----"""
FINGERPRINT = "95A7B1A260880FFDA98F8BEBA5F6573294F0C17A"

_TOOLS = {
    "name": "Lab Tools", "uris": ["http://tools.example.org/debian"], "suites": ["stable"], "components": ["main"],
    "signed_by": KEY, "fingerprint": [FINGERPRINT],
}
_ADD = ["sh", "-c", "mkdir -p /etc/apt/keyrings && cd /etc/apt && echo old > keyrings/lab-tools.asc && "
        "printf 'Types: deb\\nURIs: http://old.example.org\\nSuites: ./\\n' > sources.list.d/lab-tools.sources"]

CASES = [
    Case("deb822_repository", "made with its key", _TOOLS, lab=True),
    Case("deb822_repository", "another address and key", _TOOLS, [_ADD], lab=True),
    Case("deb822_repository", "removed with its key", {"name": "Lab Tools", "state": "absent"}, [_ADD], lab=True),
    Case("deb822_repository", "a directory of packages", {
        "name": "flat", "uris": ["file:/srv/packages"], "suites": ["./"], "trusted": True, "enabled": False,
    }, lab=True),
    Case("deb822_repository", "gone already", {"name": "none", "state": "absent"}, lab=True, changes=False),
]
