"""What the host is, read from files and system calls, under Ansible's names where it has them."""

from __future__ import annotations

import os
import pwd
import re
import sys
import time
from typing import Any, Dict, List

Facts = Dict[str, Any]


def gather() -> Facts:
    """All facts of this host. Starts no process but `nvidia-smi`, and that only where it exists."""
    found: Facts = {}
    for part in (_system, _distribution, _processor, _memory, _disks, _users, _python, _network, _wsl, _gpus):
        try:
            found.update(part())
        except (OSError, ValueError, KeyError, IndexError):
            continue  # one file that reads differently here must not cost the other facts
    return found


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _system() -> Facts:
    name = os.uname()
    boot = float(_read("/proc/uptime").split()[0])
    manager = "systemd" if os.path.isdir("/run/systemd/system") else os.path.basename(os.readlink("/proc/1/exe")) \
        if os.access("/proc/1/exe", os.R_OK) else "unknown"
    return {
        "ansible_system": name.sysname, "ansible_kernel": name.release, "ansible_kernel_version": name.version,
        "ansible_architecture": name.machine, "ansible_machine": name.machine,
        "ansible_hostname": name.nodename.split(".")[0], "ansible_nodename": name.nodename,
        "ansible_fqdn": name.nodename, "ansible_userspace_bits": "64" if sys.maxsize > 1 << 32 else "32",
        "ansible_uptime_seconds": int(boot), "ansible_service_mgr": manager,
        "ansible_date_time": {
            "iso8601": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "epoch": str(int(time.time())),
            "date": time.strftime("%Y-%m-%d"), "time": time.strftime("%H:%M:%S"), "tz": time.strftime("%Z"),
        },
    }


_FAMILIES = {"debian": "Debian", "ubuntu": "Debian", "fedora": "RedHat", "rhel": "RedHat", "arch": "Archlinux",
             "alpine": "Alpine", "suse": "Suse"}
_NAMES = {"debian": "Debian", "ubuntu": "Ubuntu", "fedora": "Fedora", "rhel": "RedHat", "arch": "Archlinux"}
_MANAGERS = (("/usr/bin/apt-get", "apt"), ("/usr/bin/dnf", "dnf"), ("/usr/bin/pacman", "pacman"), ("/sbin/apk", "apk"))


def _distribution() -> Facts:
    row = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', _read("/etc/os-release"), re.MULTILINE))
    name, like = row.get("ID", ""), row.get("ID_LIKE", "").split()
    family = next((_FAMILIES[one] for one in [name, *like] if one in _FAMILIES), name.title())
    version = row.get("VERSION_ID", "")
    if name == "debian" and os.path.exists("/etc/debian_version"):
        version = _read("/etc/debian_version").strip() or version
    return {
        "ansible_distribution": _NAMES.get(name, row.get("NAME", name)), "ansible_distribution_version": version,
        "ansible_distribution_major_version": row.get("VERSION_ID", "").split(".")[0],
        "ansible_distribution_release": row.get("VERSION_CODENAME", ""), "ansible_os_family": family,
        "ansible_pkg_mgr": next((one for path, one in _MANAGERS if os.path.exists(path)), "unknown"),
    }


def _processor() -> Facts:
    text = _read("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", text, re.MULTILINE)
    cores = {tuple(one) for one in zip(re.findall(r"^physical id\s*: (\d+)", text, re.MULTILINE),
                                       re.findall(r"^core id\s*: (\d+)", text, re.MULTILINE))}
    count = len(os.sched_getaffinity(0))
    return {
        "ansible_processor": models[:1], "ansible_processor_vcpus": os.cpu_count() or count,
        "ansible_processor_nproc": count, "ansible_processor_cores": len(cores) or count,
    }


def _memory() -> Facts:
    found = re.findall(r"^(\w+):\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    row = {name: int(size) // 1024 for name, size in found}
    return {
        "ansible_memtotal_mb": row["MemTotal"], "ansible_memfree_mb": row["MemFree"],
        "ansible_memavailable_mb": row.get("MemAvailable", row["MemFree"]),
        "ansible_swaptotal_mb": row["SwapTotal"], "ansible_swapfree_mb": row["SwapFree"],
    }


_REAL = {
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "overlay", "9p", "vfat", "fuseblk", "f2fs", "nfs", "nfs4", "tmpfs",
}


def _disks() -> Facts:
    mounts: List[Facts] = []
    for line in _read("/proc/mounts").splitlines():
        device, mount, kind, options = line.split()[:4]
        if kind not in _REAL or mount.startswith(("/proc", "/sys", "/dev", "/run")):
            continue
        try:
            found = os.statvfs(mount)
        except OSError:
            continue
        mounts.append({
            "device": device, "mount": mount.encode().decode("unicode_escape"), "fstype": kind, "options": options,
            "size_total": found.f_blocks * found.f_frsize, "size_available": found.f_bavail * found.f_frsize,
        })
    return {"ansible_mounts": mounts}


def _users() -> Facts:
    me = pwd.getpwuid(os.geteuid())
    login = os.environ.get("SUDO_USER") or os.environ.get("LOGNAME") or me.pw_name
    return {
        "ansible_user_id": me.pw_name, "ansible_user_uid": me.pw_uid, "ansible_user_gid": me.pw_gid,
        "ansible_user_dir": me.pw_dir, "ansible_user_shell": me.pw_shell, "ansible_user_gecos": me.pw_gecos,
        "ansible_real_user_id": os.getuid(), "ansible_effective_user_id": os.geteuid(),
        "ansible_login_user": login if login != me.pw_name else "",
        "ansible_users": [{"name": one.pw_name, "uid": one.pw_uid, "home": one.pw_dir}
                          for one in pwd.getpwall() if one.pw_uid == 0 or 1000 <= one.pw_uid < 60000],
        "ansible_env": {key: value for key, value in os.environ.items()
                        if key in ("HOME", "PATH", "LANG", "SHELL", "USER", "LOGNAME", "TERM", "WSL_DISTRO_NAME")},
    }


def _python() -> Facts:
    version = sys.version_info
    return {
        "ansible_python_version": ".".join(map(str, version[:3])),
        "ansible_python": {
            "executable": sys.executable, "type": sys.implementation.name,
            "version": {"major": version[0], "minor": version[1], "micro": version[2]},
        },
    }


def _network() -> Facts:
    found: Facts = {"ansible_interfaces": sorted(os.listdir("/sys/class/net"))}
    for line in _read("/proc/net/route").splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and int(fields[3], 16) & 2:
            gateway = ".".join(map(str, int(fields[2], 16).to_bytes(4, "little")))
            found["ansible_default_ipv4"] = {"interface": fields[0], "gateway": gateway, **_address(gateway)}
            break
    addresses = [one[4][0] for one in _resolved(os.uname().nodename)]
    own = found.get("ansible_default_ipv4", {}).get("address")
    found["ansible_all_ipv4_addresses"] = sorted({*addresses, *([own] if own else [])} - {"127.0.0.1", "127.0.1.1"})
    return found


def _address(gateway: str) -> Facts:
    """The address this host uses towards its gateway; connecting a datagram socket sends nothing."""
    import _socket  # without the names and classes of `socket`, which take longer than all other facts

    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        probe.connect((gateway, 9))
        return {"address": probe.getsockname()[0]}
    finally:
        probe.close()


def _resolved(name: str) -> List[Any]:
    # Only what /etc/hosts says: a name server could make every start wait.
    for line in _read("/etc/hosts").splitlines():
        fields = line.split("#")[0].split()
        if name in fields[1:] and ":" not in fields[0]:
            return [(0, 0, 0, "", (fields[0], 0))]
    return []


def _wsl() -> Facts:
    release = os.uname().release
    if "microsoft" not in release.lower():
        return {"ansible_wsl": False}
    # WSL1's kernel calls itself "…-Microsoft" with a version below 4.5; WSL2's is a real "…-microsoft-standard".
    version = 2 if "microsoft-standard" in release or os.path.exists("/dev/dxg") else 1
    return {"ansible_wsl": {
        "version": version, "distribution": os.environ.get("WSL_DISTRO_NAME", ""),
        "interop": os.path.exists("/proc/sys/fs/binfmt_misc/WSLInterop"), "gpu": os.path.exists("/dev/dxg"),
    }}


_SMI = ("/usr/bin/nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi", "/usr/local/bin/nvidia-smi")
_QUERY = "name,driver_version,compute_cap,memory.total,memory.free,uuid"


def _gpus() -> Facts:
    program = next((one for one in _SMI if os.access(one, os.X_OK)), None)
    if program is None:
        return {"ansible_gpus": []}
    import subprocess  # here: most hosts have no card

    try:
        answer = subprocess.run([program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"],
                                capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {"ansible_gpus": []}
    found = []
    for line in answer.stdout.splitlines():
        fields = [one.strip() for one in line.split(",")]
        if answer.returncode == 0 and len(fields) == 6:
            found.append({
                "name": fields[0], "driver_version": fields[1], "compute_capability": fields[2],
                "memory_mb": _whole(fields[3]), "memory_free_mb": _whole(fields[4]), "uuid": fields[5],
            })
    answered: Facts = {"ansible_gpus": found, "ansible_nvidia_smi": program}
    if answer.returncode:
        answered["ansible_nvidia_smi_error"] = (answer.stdout + answer.stderr).strip()[-500:]
    return answered


def _whole(text: str) -> int:
    return int(float(text)) if re.fullmatch(r"[\d.]+", text) else 0
