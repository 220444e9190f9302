"""Telling systemd that the member serves: one datagram to the socket that $NOTIFY_SOCKET names (sd_notify(3)).

Upstream: etcdmain.notifySystemd.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

from etcdpy.base.log import log_error, log_info

VARIABLE: Final = "NOTIFY_SOCKET"
READY: Final = b"READY=1"


def send_notification(message: bytes, environment: Mapping[str, str]) -> bool:
    """Send a message; return False when nobody wants one. Raise OSError when it cannot be delivered."""
    address = environment.get(VARIABLE, "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract name space
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message, address)
    return True


def notify_ready(log: logging.Logger, environment: Mapping[str, str] = os.environ) -> None:
    """Say that the member is ready, and log what etcd logs."""
    log_info(log, "notifying init daemon")
    try:
        send_notification(READY, environment)
    except OSError as error:
        log_error(log, "failed to notify systemd for readiness", error=error)
        return
    log_info(log, "successfully notified init daemon")
