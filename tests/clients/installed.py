"""A member as a service manager starts it: a program with an environment, no root, no working directory of its own."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.reference import STOP_SECONDS_MAX, free_port

READY_SECONDS_MAX: Final = 60.0
_CREDENTIALS: Final = struct.Struct("3i")  # pid, user, group: struct ucred


def loopback(variables: Mapping[str, str]) -> dict[str, str]:
    """Return `variables`, and those for free ports on loopback."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    return {
        "ETCD_LISTEN_CLIENT_URLS": client,
        "ETCD_ADVERTISE_CLIENT_URLS": client,
        "ETCD_LISTEN_PEER_URLS": peer,
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": peer,
        "ETCD_INITIAL_CLUSTER": f"default={peer}",
        **variables,
    }


@contextmanager
def started(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a member and wait until it notifies; end it by SIGTERM, as managers do, and expect it to end by that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        address = folder / "notify"
        receiver.bind(str(address))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        receiver.settimeout(READY_SECONDS_MAX)
        with (folder / "member.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**environment, "NOTIFY_SOCKET": str(address)},
            )
        try:
            message, ancillary, _, _ = receiver.recvmsg(1000, socket.CMSG_SPACE(_CREDENTIALS.size))
            assert message == b"READY=1"
            # systemd listens to the main process alone (NotifyAccess=main).
            assert _CREDENTIALS.unpack(ancillary[0][2])[0] == process.pid
            yield process
            process.terminate()
            assert process.wait(STOP_SECONDS_MAX) in (0, -signal.SIGTERM)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(STOP_SECONDS_MAX)
            address.unlink()
