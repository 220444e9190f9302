"""/debug/vars: what Go's expvar shows, as far as there is something true to show.

The keys that tools read are there (cmdline, file_descriptor_limit, raft.status). `memstats` tells of Go's memory; what
a Python process knows of its own stands in `process`.
"""

from __future__ import annotations

import json
import resource
import sys
import threading

from etcdpy.api.ops.source import OpsSource


def debug_vars_body(source: OpsSource) -> str:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    variables: dict[str, object] = {
        "cmdline": list(sys.orig_argv),
        "file_descriptor_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "process": {
            "max_resident_kilobytes": usage.ru_maxrss,
            "threads": threading.active_count(),
            "user_cpu_seconds": usage.ru_utime,
            "system_cpu_seconds": usage.ru_stime,
        },
        "raft.status": source.raft_status(),
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in variables.items())
    return "{\n" + lines + "\n}\n"
