"""What the PyPI package `etcd3gw` can do, once each, against the member at host and port given as arguments.

It speaks to the JSON gateway, and its watches read one JSON document per HTTP chunk.
"""

from __future__ import annotations

import base64
import sys
from typing import Any

from etcd3gw.client import client as make_client

from tests.clients.programs.telling import say, say_error, wait_for


def keys_and_values(client: Any) -> None:
    say("put", client.put("k/a", "1"), client.put(b"k/b", b"\x00\xff"), client.put("k/empty", ""))
    say("create", client.create("k/c", "1"), client.create("k/c", "2"))
    say("replace", client.replace("k/c", "1", "3"), client.replace("k/c", "1", "4"))
    say("get", client.get("k/a"), client.get("k/none"), client.get("k/b", metadata=True))
    for order in ("ascend", "descend"):
        for target in ("key", "version", "create", "mod", "value"):
            say(f"prefix {order} {target}", client.get_prefix("k/", sort_order=order, sort_target=target))
    say("limit", client.get("k/", metadata=True, range_end="k0", limit=2, keys_only=True, serializable=True))
    say("revision", client.get("k/c", revision=5), client.get("k/", range_end="k0", min_mod_revision=4))
    say("all", client.get_all(sort_order="descend"))
    say("count", client.get("k/", range_end="k0", count_only=True))
    say("delete", client.delete("k/a", prev_kv=True), client.delete("k/a"), client.delete_prefix("k/"))
    say_error("empty key", lambda: client.put("", "x"))
    say_error("future", lambda: client.get("k/a", revision=1000))


def transactions(client: Any) -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    put = {"request_put": {"key": encoded("t/a"), "value": encoded("1"), "prev_kv": True}}
    compare = {"key": encoded("t/a"), "result": "EQUAL", "target": "VERSION", "version": 0}
    ranged = {"request_range": {"key": encoded("t/"), "range_end": encoded("t0"), "limit": 1}}
    say("txn", client.transaction({"compare": [compare], "success": [put], "failure": [ranged]}))
    say("else", client.transaction({"compare": [compare], "success": [put], "failure": [ranged]}))
    nested = {"request_txn": {"success": [{"request_delete_range": {"key": encoded("t/a"), "prev_kv": True}}]}}
    say("nested", client.transaction({"success": [nested]}))
    say_error("twice", lambda: client.transaction({"success": [put, put]}))
    say_error("nonsense", lambda: client.transaction({"success": [{"request_nothing": 1}]}))


def leases(client: Any) -> None:
    lease = client.lease(ttl=100)
    client.put("l/a", "1", lease=lease)
    client.put("l/b", "1", lease=lease)
    say("lease", 0 < lease.ttl() <= 100, sorted(lease.keys()), lease.refresh())
    say("revoked", lease.revoke(), client.get_prefix("l/"), lease.ttl(), lease.keys(), lease.refresh())
    say_error("revoked twice", lease.revoke)
    client.put("l/short", "1", lease=client.lease(ttl=1))
    wait_for(lambda: not client.get("l/short"))
    say("expired")


def watches(client: Any) -> None:
    client.put("w/a", "0")
    start = int(client.get("w/a", metadata=True)[0][1]["mod_revision"])
    events, cancel = client.watch_prefix("w/", start_revision=start, prev_kv=True)
    client.put("w/a", "1")
    client.put("w/b", "1")
    client.delete("w/a")
    for _ in range(4):
        say("event", next(events))
    for number in range(200):
        client.put(f"w/{number:03}", "x" * number)
    say("many", [next(events)["kv"]["key"] for _ in range(200)])
    cancel()
    say("all of it", client.watch_once("w/", range_end="w0", start_revision=start, timeout=9))
    say("filtered", client.watch_once("w/a", start_revision=start, filters=["NOPUT"], timeout=9))
    say_error("nothing", lambda: client.watch_once("w/none", timeout=0.2))


def locks(client: Any) -> None:
    with client.lock("resource", ttl=50) as lock:
        other = client.lock("resource", ttl=50)
        say("locked", lock.is_acquired(), other.acquire(), other.is_acquired(), lock.refresh())
    say("unlocked", lock.is_acquired(), other.acquire(), other.release(), other.release())


def maintenance(client: Any) -> None:
    say("members", client.members())
    status = client.status()
    for changing in ("version", "dbSize", "dbSizeInUse", "raftIndex", "raftAppliedIndex"):
        say(changing, type(status.pop(changing)).__name__)
    for newer in ("storageVersion", "dbSizeQuota", "downgradeInfo"):  # than 3.5.1
        status.pop(newer, None)
    say("status", status)


def main() -> None:
    client = make_client(host=sys.argv[1], port=int(sys.argv[2]), timeout=20)
    say("path", client.api_path)
    for part in (keys_and_values, transactions, leases, watches, locks, maintenance):
        say(f"-- {part.__name__}")
        part(client)


if __name__ == "__main__":
    main()
