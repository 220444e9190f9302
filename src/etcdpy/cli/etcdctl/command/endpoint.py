"""etcdctl endpoint health | status | hashkv: ask members one by one, whatever their answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from etcdpy.base.errors import EtcdError, PermissionDenied
from etcdpy.cli.etcdctl.command.member import chosen_endpoints
from etcdpy.cli.etcdctl.exits import ERROR, Exit
from etcdpy.cli.etcdctl.printer.base import EndpointHash, EndpointHealth, EndpointStatus
from etcdpy.cli.etcdctl.session import Session

# A read of it goes through the whole cluster; whether it exists does not matter.
HEALTH_KEY: Final = b"health"
_ALARM_NAMES: Final = {1: "NOSPACE", 2: "CORRUPT"}


def run_health(session: Session) -> None:
    endpoints = chosen_endpoints(session)
    printer = session.printer()
    found = _check_all(session, endpoints)
    printer.endpoint_health(found)
    printer.flush()
    if not all(health.healthy for health in found):
        raise Exit(ERROR, "unhealthy cluster")


def run_status(session: Session) -> None:
    endpoints = chosen_endpoints(session)
    printer = session.printer()
    found = []
    failed = False
    for endpoint in endpoints:
        client = session.new_client([endpoint], named=session.endpoints[0])
        try:
            found.append(EndpointStatus(endpoint, client.maintenance.status()))
        except EtcdError as error:
            session.print_error(f"Failed to get the status of endpoint {endpoint} ({error})\n")
            failed = True
        client.close()
    printer.endpoint_status(found)
    printer.flush()
    if failed:
        raise Exit(ERROR)


def run_hash_kv(session: Session) -> None:
    endpoints = chosen_endpoints(session)
    printer = session.printer()
    found = []
    last_error: EtcdError | None = None
    for endpoint in endpoints:
        client = session.new_client([endpoint], named=session.endpoints[0])
        try:
            found.append(EndpointHash(endpoint, client.maintenance.hash_kv(session.flags.integer("rev"))))
        except EtcdError as error:
            session.print_error(f"Failed to get the hash of endpoint {endpoint} ({error})\n")
            last_error = error
        client.close()
    printer.endpoint_hash_kv(found)
    printer.flush()
    if last_error is not None:
        raise Exit(ERROR, str(last_error))


def _check_all(session: Session, endpoints: Sequence[str]) -> list[EndpointHealth]:
    """Check all endpoints at the same time; those that answer first come first."""
    if len(endpoints) == 1:
        return [_check(session, endpoints[0])]
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(max_workers=max(len(endpoints), 1)) as pool:
        return [done.result() for done in as_completed([pool.submit(_check, session, each) for each in endpoints])]


def _check(session: Session, endpoint: str) -> EndpointHealth:
    client = session.new_client([endpoint], iso_time=False)
    started = time.perf_counter_ns()
    error_text = ""
    try:
        client.kv.get(HEALTH_KEY)
    except PermissionDenied:
        # Refusing needs a working member as much as answering does.
        pass
    except EtcdError as error:
        error_text = str(error)
    took = time.perf_counter_ns() - started
    if not error_text:
        try:
            raised = client.maintenance.alarms().alarms
        except EtcdError:
            error_text = "Unable to fetch the alarm list"
        else:
            if raised:
                names = "".join(f"{_ALARM_NAMES.get(alarm.alarm, 'UNKNOWN')} " for alarm in raised)
                error_text = f"Active Alarm(s): {names}"
    client.close()
    return EndpointHealth(endpoint, not error_text, took, error_text)
