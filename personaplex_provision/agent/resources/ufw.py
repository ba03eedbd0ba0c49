"""The `ufw` kind."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Literal

from personaplex_provision.agent.host import Host
from personaplex_provision.agent.record import dataclass
from personaplex_provision.agent.resource import Address, Change, Resource, ResourceError, observed
from personaplex_provision.agent.resources import _ufw as rules

EXAMPLE = """
- name: the assistant can be reached, ssh too
  ufw:
    rule: allow
    port: "{{ item }}"
    proto: tcp
  loop: ["22", "8998"]
- ufw:
    state: enabled
    policy: deny
    direction: incoming
"""

_DIRECTIONS = {"in": "INPUT", "incoming": "INPUT", "out": "OUTPUT", "outgoing": "OUTPUT", "routed": "FORWARD"}


@dataclass
class Ufw(Resource):
    """The firewall as ufw manages it: on or off, a default policy, one rule.

    Rollback is exact: the rules are put back and loaded again, and a firewall that was off is switched off. Turning it
    on is refused while no rule lets the ssh connection in over which this runs.
    """

    kind = "ufw"
    reversible_why = (
        "The rules and settings are kept, put back and loaded again, and a firewall that was off is off again."
    )
    aliases = {
        "policy": "default", "if": "interface", "if_in": "interface_in", "if_out": "interface_out", "from": "from_ip",
        "src": "from_ip", "to": "to_ip", "dest": "to_ip", "port": "to_port", "protocol": "proto", "app": "name",
    }
    identity = ()
    exclusive = ("ufw",)
    slow = True

    state: Literal["enabled", "disabled", "reloaded", "reset"] | None = None
    "`enabled` and `disabled` are states; `reloaded` is done every time; `reset` removes all rules and switches off."
    default: Literal["allow", "deny", "reject"] | None = None
    "What happens to traffic in `direction` that no rule speaks of."
    direction: Literal["in", "incoming", "out", "outgoing", "routed"] | None = None
    "Which traffic the rule or the default is about; incoming when left out."
    logging: Literal["on", "off", "low", "medium", "high", "full"] | None = None
    "How much the firewall logs."
    rule: Literal["allow", "deny", "limit", "reject"] | None = None
    "What happens to traffic that the rule is about; `limit` slows down whoever tries too often."
    name: str | None = None
    "Name of an application profile (`OpenSSH`) that the rule is about."
    to_port: str | None = None
    "Port here, a range `6000:6007`, or several with commas."
    from_port: str | None = None
    "Port of the other side."
    proto: Literal["any", "tcp", "udp", "ipv6", "esp", "ah", "gre", "igmp", "vrrp"] | None = None
    "Protocol of the rule."
    from_ip: str = "any"
    "Address or network of the other side."
    to_ip: str = "any"
    "Address here."
    interface: str | None = None
    "Network interface of the rule, together with `direction`."
    interface_in: str | None = None
    "Interface that traffic comes in by."
    interface_out: str | None = None
    "Interface that traffic goes out by."
    route: bool = False
    "Whether the rule is about traffic that is passed on."
    log: bool = False
    "Whether new connections that match are logged."
    insert: int | None = None
    "Place of a new rule, from 1; at the end when left out."
    comment: str | None = None
    "Text kept beside the rule."
    delete: bool = False
    "Whether the rule is removed."
    force: bool = False
    "Whether the firewall is turned on even where it cuts this connection."
    active: bool = observed(False)
    "Whether the firewall is on."
    there: bool = observed(False)
    "Whether the rule is there."
    files: dict[str, str] = observed(None)
    "What ufw's files hold."
    sysctl: dict[str, str] = observed(None)
    "Kernel settings that turning the firewall on changes."

    def validate(self) -> Iterator[str]:
        if not (self.state or self.default or self.logging or self.rule):
            yield "nothing is asked for: give state, default, logging or rule"
        shaped = [one for one in ("name", "to_port", "from_port", "proto", "insert", "comment") if getattr(self, one)]
        if shaped and not self.rule:
            yield f"{shaped[0]} says something about a rule: say which in `rule` (allow, deny, limit, reject)"
        if self.delete and not self.rule:
            yield "delete needs the rule it is about"
        if self.interface and not self.direction:
            yield "interface needs a direction: in or out"
        if self.interface and (self.interface_in or self.interface_out):
            yield "interface cannot go with interface_in or interface_out"
        if self.name and (self.to_port or self.proto):
            yield "an application profile has its ports and protocol already"
        if self.rule and self.direction == "routed":
            yield "a rule for what is passed on says `route: true`"
        ports = f"{self.to_port or ''}{self.from_port or ''}"
        if self.rule and self.proto in (None, "any") and re.search(r"[,:]", ports):
            yield "several ports or a range need a protocol: tcp or udp"

    def observe(self, host: Host) -> Ufw:
        files = rules.read_all(host)
        settings, policy = files.get(rules.SETTINGS, ""), files.get(rules.DEFAULTS, "")
        direction = _DIRECTIONS[self.direction or "in"]
        now = Ufw(
            active=rules.setting(settings, "ENABLED").lower() == "yes" and self._loaded(host), files=files,
            default=_policy(rules.setting(policy, f"DEFAULT_{direction}_POLICY")),
            logging=_level(rules.setting(settings, "LOGLEVEL")), sysctl=_sysctl(host),
        )
        if host.which("ufw") is None and not files:
            # What installing it brings.
            now.default, now.logging = rules.FRESH[direction], "low"  # type: ignore[assignment]
        elif self.rule and host.which("ufw"):
            now.there = not self._changes_rules(host)
        said = host.declared("ufw", "now")
        if isinstance(said, dict):
            now.active = said.get("active", now.active)
            now.default = said.get(direction, now.default)
            now.logging = said.get("logging", now.logging)
            now.there = now.there or " ".join(self._rule()) in said.get("done", [])
        now.state = "enabled" if now.active else "disabled"
        if self.state == "reset" and not now.active and not any(rules.parse(text) for text in files.values()):
            now.state = "reset"
        return now

    def diff(self, now: Ufw) -> List[Change]:
        found = []
        if self.default and self.default != now.default:
            found.append(Change(f"default ({self.direction or 'incoming'})", now.default, self.default))
        logs = now.logging not in (None, "off")
        if self.logging and self.logging != now.logging and not (self.logging == "on" and logs):
            found.append(Change("logging", now.logging, self.logging))
        if self.rule and not now.there:
            text = " ".join(self._rule()[1:] if self.delete else self._rule())
            found.append(Change("rule", text if self.delete else None, None if self.delete else text))
        if self.state and self.state != now.state:
            found.append(Change("state", now.state, self.state))
        return found

    def action(self, now: Ufw, changes: List[Change]) -> str:
        if changes and self.state == "reloaded":
            return "run"
        return "update" if changes else "none"

    def converge(self, now: Ufw, host: Host) -> None:
        if host.which("ufw") is None:
            raise ResourceError("ufw is not installed on this host", hint="install it first: `apt: {name: ufw}`")
        wanted = {change.field.split(" ")[0] for change in self.diff(now)}
        self._guard(now, host, wanted)
        if self.state in ("reset", "disabled") and "state" in wanted:
            self._ufw(["--force", "reset" if self.state == "reset" else "disable"], host)
        if "default" in wanted:
            self._ufw(["default", self.default or "", _LONG[self.direction or "in"]], host)
        if "logging" in wanted:
            self._ufw(["logging", self.logging or ""], host)
        if "rule" in wanted:
            self._ufw(self._rule(), host)
        if self.state in ("enabled", "reloaded") and "state" in wanted:
            self._ufw(["--force", "enable"] if self.state == "enabled" else ["reload"], host)

    def predict(self, now: Ufw, host: Host) -> None:
        self._guard(now, host, {change.field.split(" ")[0] for change in self.diff(now)})
        said: Dict[str, Any] = dict(host.declared("ufw", "now") or {})
        if self.state in ("enabled", "disabled", "reset"):
            said["active"] = self.state == "enabled"
        if self.default:
            said[_DIRECTIONS[self.direction or "in"]] = self.default
        if self.logging:
            said["logging"] = self.logging
        if self.rule:
            said["done"] = [*said.get("done", []), " ".join(self._rule())]
            said["rules"] = [*said.get("rules", []), *([] if self.delete else [self._own_rule()])]
        host.declare("ufw", "now", said)

    def restore(self, before: Ufw, host: Host) -> None:
        """The rules as they were, loaded again; off when it was off."""
        if host.which("ufw") is None:
            return
        now = rules.setting(rules.read_all(host).get(rules.SETTINGS, ""), "ENABLED").lower() == "yes"
        if now and not before.active:
            self._ufw(["--force", "disable"], host)
        here = rules.read_all(host)
        other = [path for path, text in (before.files or {}).items() if here.get(path) != text]
        for path in other:
            host.write(path, (before.files or {})[path].encode("utf-8", "surrogateescape"))
        if before.active and (other or not now):
            self._ufw(["reload"] if now else ["--force", "enable"], host)
        for name, value in (before.sysctl or {}).items():
            if _sysctl(host).get(name) != value:
                host.run(["sh", "-c", 'printf %s "$1" > "$2"', "sh", value, f"/proc/sys/{name}"], check=False)

    def standing(self, host: Host) -> Dict[str, Any]:
        return {"active": rules.setting(rules.read_all(host).get(rules.SETTINGS, ""), "ENABLED").lower() == "yes"}

    def touches_connection(self, user: str) -> bool:
        return self.state != "disabled"

    def needs(self) -> List[Address]:
        return [("package", "ufw")]

    def provides(self) -> List[Address]:
        return []

    def result(self, now: Ufw, after: Ufw, host: Host) -> Dict[str, Any]:
        return {"commands": [" ".join(self._rule())] if self.rule else [], "active": after.active}

    def _rule(self) -> List[str]:
        """The rule as ufw's command line has it."""
        found = [*(["route"] if self.route else []), *(["delete"] if self.delete else [])]
        if self.insert is not None and not self.delete:
            found += ["insert", str(self.insert)]
        found.append(self.rule or "")
        if self.interface or (self.direction and not self.route):
            found.append(_SHORT[self.direction or "in"])
            found += ["on", self.interface] if self.interface else []
        for side, name in (("in", self.interface_in), ("out", self.interface_out)):
            found += [side, "on", name] if name else []
        found += ["log"] if self.log else []
        found += ["from", self.from_ip, *(["port", self.from_port] if self.from_port else [])]
        found += ["to", self.to_ip, *(["port", self.to_port] if self.to_port else [])]
        found += ["proto", self.proto] if self.proto else []
        found += ["app", self.name] if self.name else []
        return [*found, "comment", self.comment] if self.comment and not self.delete else found

    def _own_rule(self) -> rules.Rule:
        ports = self.to_port or self.name or "any"
        return rules.Rule(self.rule or "", self.proto or "any", ports, self.from_ip, _SHORT[self.direction or "in"])

    def _loaded(self, host: Host) -> bool:
        """Whether a firewall that is on by its settings has its rules in the kernel."""
        if self.state != "enabled" or host.which("ufw") is None:
            return True
        said = host.query(["ufw", "status"])
        return said.rc == 0 and "Status: active" in said.stdout

    def _changes_rules(self, host: Host) -> bool:
        """Whether ufw would change its rules for this rule; asked of ufw itself, which knows all its spellings."""
        said = host.query(["ufw", "--dry-run", *self._rule()])
        if said.rc != 0:
            text = (said.stderr.strip() or said.stdout.strip()).replace("ERROR: ", "")
            if "non-existent" in text:
                return False
            raise ResourceError("ufw refuses the rule", text)
        if self.delete:
            v6 = rules.setting(rules.read_all(host).get(rules.DEFAULTS, ""), "IPV6").lower() == "yes"
            texts = [text for path, text in rules.read_all(host).items() if v6 or "user6" not in path]
            return sorted(rules.tuples(said.stdout)) != sorted(line for text in texts for line in rules.tuples(text))
        lines = [line for line in said.stdout.splitlines() if line.strip() and not line.startswith("WARN")]
        return not all(line.startswith("Skipping") for line in lines)

    def _guard(self, now: Ufw, host: Host, wanted: set[str]) -> None:
        """Refuses what would leave the ssh connection outside."""
        link = rules.connection()
        on = self.state == "enabled" or (now.active and self.state not in ("disabled", "reset"))
        if link is None or self.force or not on or not wanted:
            return
        texts = now.files or {}
        present = [rule for path in rules.RULES for rule in rules.parse(texts.get(path, ""))]
        said = host.declared("ufw", "now") or {}
        present += [rules.Rule(*one) for one in said.get("rules", [])]
        if self.rule and "rule" in wanted:
            planned = rules.parse(host.query(["ufw", "--dry-run", *self._rule()]).stdout) if host.which("ufw") else []
            present = planned or present
            if not self.delete:
                present.append(self._own_rule())
        default = said.get("INPUT") or _policy(rules.setting(texts.get(rules.DEFAULTS, ""), "DEFAULT_INPUT_POLICY"))
        if self.default and _DIRECTIONS[self.direction or "in"] == "INPUT":
            default = self.default
        if not rules.lets_in(present, default or "deny", link):
            raise ResourceError(
                f"refused: the firewall would cut the ssh connection from {link.client} to port {link.port}",
                "no rule lets it in, and the default is to let nothing in",
                f"allow it first: `ufw: {{rule: allow, port: \"{link.port}\", proto: tcp}}`, or say `force: true`",
            )

    def _ufw(self, argv: List[str], host: Host) -> None:
        found = host.run(["ufw", *argv], touches=[rules.DEFAULTS, *rules.RULES[2:]], trees=["/etc/ufw"], check=False)
        if found.rc != 0:
            text = (found.stderr.strip() or found.stdout.strip()).replace("ERROR: ", "")
            hint = _HINT if "iptables" in text or "init" in text else ""
            raise ResourceError(f"ufw {' '.join(argv)} failed", text, hint)


def _policy(value: str) -> Any:
    return rules.POLICIES.get(value.upper())


def _level(value: str) -> Any:
    return value or "off"


def _sysctl(host: Host) -> Dict[str, str]:
    """The present values of the kernel settings in ufw's own sysctl file."""
    found = {}
    try:
        text = host.read_text("/etc/ufw/sysctl.conf")
    except OSError:
        return {}
    for name in re.findall(r"(?m)^\s*([a-z][\w/.-]*)\s*=", text):
        path = name if "/" in name else name.replace(".", "/")
        try:
            with open(f"/proc/sys/{path}", encoding="utf-8") as file:
                found[path] = file.read().strip()
        except OSError:
            continue
    return found


_SHORT = {"in": "in", "incoming": "in", "out": "out", "outgoing": "out", "routed": "in"}
_LONG = {"in": "incoming", "incoming": "incoming", "out": "outgoing", "outgoing": "outgoing", "routed": "routed"}
_HINT = "the kernel may lack netfilter here (some containers, WSL1): leave the firewall to the machine outside"
