"""Whether the firewall kind knows a rule that keeps the ssh connection alive from one that does not."""

from __future__ import annotations

import pytest

from personaplex_provision.agent.resources._ufw import Connection, Rule, connection, lets_in, parse, setting
from personaplex_provision.agent.resources.ufw import Ufw

RULES = """\
*filter
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in comment=737368
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### limit tcp 2200:2210 0.0.0.0/0 any 10.0.0.0/8 in_eth0
### tuple ### deny_log any 80,443 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### route:allow any any 0.0.0.0/0 any 0.0.0.0/0 in_a!out_b
"""


def test_rules_are_read_from_ufws_file() -> None:
    assert parse(RULES) == [
        Rule("allow", "tcp", "22", "0.0.0.0/0", "in"), Rule("limit", "tcp", "2200:2210", "10.0.0.0/8", "in_eth0"),
        Rule("deny", "any", "80,443", "0.0.0.0/0", "in"),
    ]


@pytest.mark.parametrize(("client", "port", "through"), [
    ("10.1.2.3", 22, True), ("10.1.2.3", 2205, True), ("192.168.1.9", 2205, False), ("10.1.2.3", 443, False),
    ("10.1.2.3", 8022, False), ("fe80::1%eth0", 22, False), ("127.0.0.1", 8022, True),
])
def test_the_first_rule_that_matches_decides(client: str, port: int, through: bool) -> None:
    assert lets_in(parse(RULES), "deny", Connection(client, port)) is through


def test_without_a_rule_the_default_decides() -> None:
    assert lets_in([], "allow", Connection("10.1.2.3", 22))
    assert not lets_in([], "reject", Connection("10.1.2.3", 22))
    assert not lets_in([Rule("deny", "any", "any", "any", "in")], "allow", Connection("10.1.2.3", 22))
    assert lets_in([Rule("allow", "any", "OpenSSH", "any", "in")], "deny", Connection("10.1.2.3", 22))
    assert not lets_in([Rule("allow", "udp", "22", "any", "in")], "deny", Connection("10.1.2.3", 22))
    assert not lets_in([Rule("allow", "tcp", "22", "any", "out")], "deny", Connection("10.1.2.3", 22))


def test_the_connection_is_read_from_the_environment() -> None:
    assert connection({"SSH_CONNECTION": "10.9.9.9 4000 10.8.8.8 2222"}) == Connection("10.9.9.9", 2222)
    assert connection({}) is None


def test_settings_are_read_with_and_without_quotes() -> None:
    assert setting('# x\nDEFAULT_INPUT_POLICY="DROP"\n', "DEFAULT_INPUT_POLICY") == "DROP"
    assert setting("ENABLED=yes\n", "ENABLED") == "yes"
    assert setting("", "ENABLED") == ""


@pytest.mark.parametrize(("rule", "line"), [
    (Ufw(rule="allow", to_port="22", proto="tcp"), "allow from any to any port 22 proto tcp"),
    (Ufw(rule="deny", direction="out", to_port="53"), "deny out from any to any port 53"),
    (Ufw(rule="allow", direction="in", interface="eth0", from_ip="10.0.0.1"), "allow in on eth0 from 10.0.0.1 to any"),
    (Ufw(rule="limit", name="OpenSSH", delete=True), "delete limit from any to any app OpenSSH"),
    (Ufw(rule="deny", route=True, interface_in="a", interface_out="b"), "route deny in on a out on b from any to any"),
    (Ufw(rule="reject", insert=1, log=True, comment="no"), "insert 1 reject log from any to any comment no"),
])
def test_a_rule_is_said_as_ufw_wants_it(rule: Ufw, line: str) -> None:
    assert " ".join(rule._rule()) == line
