"""What a host is reached through: paths, units and packages whose change can cut the connection to it."""

from __future__ import annotations

FOLDERS = (
    "/etc/ssh", "/etc/network", "/etc/netplan", "/etc/systemd/network", "/etc/NetworkManager", "/etc/ufw",
    "/etc/iptables", "/etc/nftables.d", "/etc/firewalld", "/etc/pam.d", "/etc/security", "/etc/sudoers.d",
    "/etc/systemd/resolved.conf.d", "/etc/wireguard",
)
FILES = (
    "/etc/sudoers", "/etc/nftables.conf", "/etc/hosts", "/etc/hosts.allow", "/etc/hosts.deny", "/etc/resolv.conf",
    "/etc/nsswitch.conf", "/etc/systemd/resolved.conf", "/etc/wsl.conf", "/etc/passwd", "/etc/shadow", "/etc/group",
    "/etc/shells", "/etc/nologin",
)
UNITS = (
    "ssh", "sshd", "ssh.socket", "networking", "systemd-networkd", "systemd-resolved", "NetworkManager", "ufw",
    "nftables", "firewalld", "netfilter-persistent", "dbus", "systemd-logind",
)
PACKAGES = ("openssh-server", "sudo", "ufw", "nftables", "systemd", "network-manager", "netplan.io", "ifupdown")


def path_matters(path: str) -> bool:
    """Whether a path is one through which the host is reached."""
    clean = path.rstrip("/")
    if clean in FILES or clean in FOLDERS or any(clean.startswith(f"{one}/") for one in FOLDERS):
        return True
    return "/.ssh/" in f"{clean}/"


def unit_matters(name: str) -> bool:
    """Whether a unit is one through which the host is reached."""
    return name in UNITS or name.removesuffix(".service") in UNITS


def user_matters(name: str, connected: str) -> bool:
    """Whether an account is needed to come back: the one we connect as, or root."""
    return name in (connected or "root", "root")
