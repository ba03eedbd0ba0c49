"""The variables that say how a host is reached, and the spelling of those near to them."""

from __future__ import annotations

import difflib
from functools import lru_cache


def _words(text: str) -> list[str]:
    return text.split()


CONNECTION_NAMES = frozenset(
    f"ansible_{name}"
    for name in _words(
        "host port user password connection timeout ssh_host ssh_port ssh_user ssh_pass ssh_password "
        "ssh_private_key_file private_key_file ssh_private_key ssh_private_key_passphrase ssh_common_args "
        "ssh_extra_args ssh_args scp_extra_args sftp_extra_args ssh_executable ssh_pipelining pipelining ssh_retries "
        "ssh_timeout ssh_transfer_method scp_if_ssh host_key_checking ssh_host_key_checking control_path "
        "control_path_dir ssh_use_tty become become_user become_pass become_password become_method become_exe "
        "become_flags sudo_pass sudo_exe sudo_flags su_pass su_exe su_flags python_interpreter shell_type "
        "shell_executable remote_tmp async_dir group_priority docker_extra_args docker_timeout docker_command "
        "docker_working_dir podman_extra_args podman_executable chroot_exe wsl_distribution wsl_user winrm_transport "
        "winrm_server_cert_validation winrm_scheme winrm_port paramiko_host_key_checking interpreter_python"
    )
)
"Connection variables of Ansible and of the connections here."

# What is gathered on a host, or set by Ansible itself, is no misspelling of a connection variable.
_OTHER_NAMES = frozenset(
    f"ansible_{name}"
    for name in _words(
        "hostname nodename fqdn domain facts local user_id user_uid user_gid user_gecos user_dir user_shell env "
        "python python_version processor processor_count processor_cores memory_mb date_time uptime_seconds "
        "interfaces default_ipv4 default_ipv6 all_ipv4_addresses mounts devices distribution kernel os_family "
        "pkg_mgr service_mgr system version check_mode diff_mode forks limit verbosity run_tags skip_tags "
        "play_hosts play_batch play_name role_name search_path loop_var index_var loop parent_role_names "
        "inventory_sources config_file playbook_python collection_name ssh_host_key_rsa_public "
        "ssh_host_key_ed25519_public ssh_host_key_ecdsa_public swaptotal_mb virtualization_type hostnqn iscsi_iqn"
    )
)


@lru_cache(maxsize=4096)
def misspelt(name: str) -> str:
    """The connection variable that `name` was probably meant to be, or nothing."""
    if name in CONNECTION_NAMES or name in _OTHER_NAMES or name.endswith("_interpreter"):
        return ""
    near = difflib.get_close_matches(name, CONNECTION_NAMES, n=1, cutoff=0.9)
    return near[0] if near else ""
