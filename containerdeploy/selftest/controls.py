"""What the control can and can't show of each attack: data for it and for the tests."""

from collections.abc import Mapping

# Made with the host's /proc and /sys in place of the container's.
WITH_HOST = frozenset(
    "core_pattern settings_of_the_kernel settings_beside_them modprobe_path sysrq writable_sys "
    "uevent_helper kernel_memory addresses_of_the_kernel keys_of_others "
    "release_agent device_nodes_in_sight".split()
)
# What a kernel may have been made without: where it has no such thing, it is no attack.
MAY_LACK = frozenset(
    "modprobe_path sysrq uevent_helper uevent_helper_of_a_fresh_sys kernel_memory kernel_crypto "
    "vsock binfmt_misc debugfs tracefs cgroup_v1 release_agent netfilter load_a_module io_uring "
    "userfaultfd secret_memory virtual_machines network_tunnel memory_of_the_machine loop_device "
    "loop_control ports_of_the_machine terminal_of_the_machine console messages_of_the_kernel "
    "file_systems_in_user_space settings_beside_them keys_of_others "
    "ports_by_privilege".split()
)
LACKING = ("No such file", "No such device", "not implemented", "not supported")
# What can't succeed in the control, and why.
WITHOUT: Mapping[str, str] = {
    "nothing": "where there is nothing, nothing can be taken",
    "write_to_the_tools": "read-only there too: see lift_the_cover_of_the_tools",
    "write_to_the_definitions": "read-only there too: see lift_the_cover_of_the_definitions",
    "write_to_the_root": "read-only there too: see lift_the_cover_of_the_tools",
    "gain_by_a_setuid_program": "no engine is asked for a helper that may gain rights",
    "mount_by_the_x32_numbers": "few kernels know these numbers, and engines refuse them",
    "real_time_priority": "a control group for processors has no real time unless it is given some",
    "shield_from_the_oom_killer": "CAP_SYS_RESOURCE is not every machine's to give",
    "open_the_hosts_disk": "the list of devices of an engine, or of the machine, forbids it too: "
    "see mount_the_hosts_disk",
}
# What an engine of the API forbids a container's root too.
NOT_ON_AN_ENGINE: Mapping[str, str] = {
    **dict.fromkeys(
        "memory_of_the_machine ports_of_the_machine messages_of_the_kernel virtual_machines "
        "file_systems_in_user_space console terminal_of_the_machine network_tunnel".split(),
        "the engine keeps a list of devices: loop_device is on it here",
    ),
    "cloud_metadata_of_version_6": "a way out by version 6, which few engines give",
}
# What an ordinary user's helper can't do either: its root is root of a user namespace only. An
# extension is up against the kernel there, not against its confinement.
NOT_A_USERS: Mapping[str, str] = {
    **dict.fromkeys(
        "make_a_device make_a_device_in_the_tree mount_the_hosts_disk memory_of_the_machine "
        "ports_of_the_machine messages_of_the_kernel virtual_machines file_systems_in_user_space "
        "loop_control loop_device network_tunnel console terminal_of_the_machine".split(),
        "CAP_MKNOD on the host for the node",
    ),
    "device": "CAP_MKNOD on the host for the node",
    **dict.fromkeys(
        "core_pattern core_pattern_of_a_fresh_proc settings_beside_them writable_sys "
        "release_agent leave_the_control_group lift_its_own_limits "
        "lift_the_cover_of_the_tools".split(),
        "the host's root: the files are its own",
    ),
    **dict.fromkeys(
        "debugfs tracefs devtmpfs sysfs uevent_helper_of_a_fresh_sys fanotify idmapped_mount "
        "trusted_mark_of_overlayfs bluetooth_and_other_families".split(),
        "CAP_SYS_ADMIN on the host, or NET_RAW there",
    ),
    **dict.fromkeys(
        "file_by_handle guess_a_file_by_its_handle".split(),
        "CAP_DAC_READ_SEARCH on the host",
    ),
    "kernel_log": "CAP_SYSLOG on the host, where dmesg_restrict is set",
    "addresses_of_the_kernel": "CAP_SYSLOG on the host, where kptr_restrict is set",
    "bpf": "CAP_BPF on the host, where unprivileged_bpf_disabled is set",
    "perf": "CAP_PERFMON on the host, where perf_event_paranoid forbids to watch the kernel",
    "userfaultfd": "CAP_SYS_PTRACE on the host, where unprivileged_userfaultfd is not set",
    "core_pattern_below_the_cover": "a cover: a user can't change what is below, so there is none",
    "cloud_metadata_of_version_6": "a way out by version 6, which not every machine has",
}
# Attacks on a network that need rights over it, so they get one of their own.
IN_OWN_NETWORK = frozenset(
    "packet_socket raw_socket raw_socket_of_version_6 network_interface make_an_interface "
    "netfilter news_of_devices".split()
)
# What succeeds where an extension has the agent's own ids (rootless, compat), and gains nothing.
HARMLESS_BELOW_STRICT: Mapping[str, str] = {
    **dict.fromkeys(
        "limits_of_another let_another_run_out_of_memory_first".split(),
        "the other has the same ids, and watches over this step only: its end is the step's",
    ),
}
