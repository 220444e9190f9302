"""What the PyPI package `etcd3` can do, once each, against the member at host and port given as arguments.

It knows the API of etcd 3.2; of its answers those are told that do not depend on the clock or the version.
"""

from __future__ import annotations

import hashlib
import io
import sys
from typing import Any

import etcd3
import etcd3.exceptions

from tests.clients.programs.telling import say, say_attributes, say_error, wait_for

KEY_NOTES = ("key", "create_revision", "mod_revision", "version", "lease_id")


def say_key(label: str, value: bytes | None, notes: Any) -> None:
    say(label, value, notes and [getattr(notes, name) for name in KEY_NOTES], notes and notes.response_header.revision)


def keys_and_values(client: Any) -> None:
    client.put("k/a", "1")
    client.put(b"k/b", b"\x00\xff")
    say("put", client.put("k/a", "2", prev_kv=True).prev_kv.value)
    say_key("get", *client.get("k/a"))
    say_key("get serializable", *client.get("k/b", serializable=True))
    say_key("get nothing", *client.get("k/none"))
    for order in ("ascend", "descend"):
        for target in ("key", "version", "create", "mod", "value"):
            found = client.get_prefix("k/", sort_order=order, sort_target=target)
            say(f"prefix {order} {target}", [(value, notes.key) for value, notes in found])
    say("keys only", [(value, notes.key) for value, notes in client.get_prefix("k/", keys_only=True)])
    say("range", [value for value, _ in client.get_range("k/a", "k/b")])
    say("all", [(value, notes.key) for value, notes in client.get_all()])
    say("if not exists", client.put_if_not_exists("k/a", "3"), client.put_if_not_exists("k/c", "3"))
    say("replace", client.replace("k/a", "2", "4"), client.replace("k/a", "2", "5"))
    say("delete", client.delete("k/c", prev_kv=True, return_response=True).prev_kvs[0].value, client.delete("k/c"))
    say("delete prefix", client.delete_prefix("k/").deleted, list(client.get_prefix("k/")))
    say_error("empty key", lambda: client.put("", "x"))


def transactions(client: Any) -> None:
    txn = client.transactions
    client.put("t/a", "1")
    say(
        "txn",
        *client.transaction(
            compare=[
                txn.value("t/a") == "1",
                txn.version("t/a") > 0,
                txn.create("t/a") != 0,
                txn.mod("t/a") < 1000,
                txn.version("t/b") == 0,
            ],
            success=[txn.put("t/b", "2"), txn.get("t/a"), txn.get("t/", range_end="t0")],
            failure=[txn.put("t/b", "no")],
        )[:1],
    )
    nested = txn.txn([txn.value("t/b") == "2"], [txn.delete("t/b", prev_kv=True)], [])
    succeeded, answers = client.transaction(
        compare=[txn.value("t/a", range_end="t0") > "0"], success=[nested], failure=[]
    )
    inner = answers[0].response_txn
    say("nested", succeeded, inner.succeeded, inner.responses[0].response_delete_range.prev_kvs[0].value)
    say("else", *client.transaction([txn.value("t/a") == "9"], [], [txn.get("t/a")])[:1])
    twice = [txn.put("t/x", "1"), txn.put("t/x", "2")]
    say_error("twice", lambda: client.transaction([], twice, []))


def leases(client: Any) -> None:
    lease = client.lease(100, lease_id=4711)
    client.put("l/a", "1", lease=lease)
    client.put("l/b", "1", lease=4711)
    say("lease", lease.id, lease.ttl, lease.granted_ttl, 0 < lease.remaining_ttl <= 100, sorted(lease.keys))
    say("refresh", [(answer.ID, answer.TTL) for answer in lease.refresh()])
    say_error("granted twice", lambda: client.lease(100, lease_id=4711))
    lease.revoke()
    say("revoked", list(client.get_prefix("l/")), client.get_lease_info(4711).TTL)
    say("refresh of a revoked one", [(answer.ID, answer.TTL) for answer in lease.refresh()])
    say_error("revoked twice", lease.revoke)
    say_error("put with no lease", lambda: client.put("l/c", "1", lease=4711))
    client.put("l/short", "1", lease=client.lease(1))
    wait_for(lambda: client.get("l/short")[0] is None)
    say("expired")


def watches(client: Any) -> None:
    client.put("w/a", "0")
    start = client.get("w/a")[1].mod_revision
    events, cancel = client.watch_prefix("w/", start_revision=start, prev_kv=True)
    client.put("w/a", "1")
    client.put("w/b", "1")
    client.delete("w/a")
    for _, event in zip(range(4), events, strict=False):
        say("event", type(event).__name__, event.key, event.value, event.mod_revision - start, event.prev_value)
    cancel()

    responses, cancel = client.watch_prefix_response("w/", start_revision=start)
    first = next(responses)
    say("responses", len(first.events), first.header.revision >= start)
    cancel()
    say_error("watch once", lambda: client.watch_once("w/none", timeout=0.2))
    say("watch once", client.watch_prefix_once("w/", start_revision=start).key)

    seen: list[int] = []
    identity = client.add_watch_prefix_callback("w/", lambda answer: seen.append(len(answer.events)))
    client.put("w/c", "1")
    wait_for(lambda: bool(seen))
    client.cancel_watch(identity)
    say("callback", seen)

    client.compact(client.get("w/c")[1].mod_revision, physical=True)
    say_error("compacted", lambda: next(client.watch("w/a", start_revision=start)[0]))
    say_error("compacted again", lambda: client.compact(start))


def locks(client: Any) -> None:
    with client.lock("resource", ttl=50) as lock:
        say("locked", lock.is_acquired(), lock.key)
        other = client.lock("resource", ttl=50)
        say("other", other.acquire(timeout=0.3), other.is_acquired())
        say("refreshed", [answer.TTL for answer in lock.refresh()])
    say("unlocked", lock.is_acquired(), other.acquire(timeout=10), other.release(), lock.release())


def maintenance(client: Any) -> None:
    members = list(client.members)
    for member in members:
        say_attributes("member", member, ("id", "name", "peer_urls", "client_urls"))
        say("alarms", [alarm.alarm_type for alarm in member.active_alarms])
    status = client.status()
    say("status", status.leader.id, status.raft_term, status.raft_index > 0, status.db_size > 0)
    say("alarm", [(alarm.alarm_type, alarm.member_id) for alarm in client.create_alarm()])
    say_error("no space", lambda: client.put("m/a", "1"))
    say("alarms", [(alarm.alarm_type, alarm.member_id) for alarm in client.list_alarms()])
    say("disarmed", len(client.disarm_alarm()), list(client.list_alarms()))
    client.put("m/a", "1")
    client.defragment()
    say("hash", client.hash() > 0)
    blob = io.BytesIO()
    client.snapshot(blob)
    database, digest = blob.getvalue()[:-32], blob.getvalue()[-32:]
    say("snapshot", len(database) % 4096, hashlib.sha256(database).digest() == digest)


def membership(client: Any) -> None:
    # The real one forgets a change of the membership that comes before it is through with the last: a put is later.
    say_error("removed unknown", lambda: client.remove_member(7))
    client.put("m/b", "1")
    say_error("updated unknown", lambda: client.update_member(7, ["http://127.0.0.1:2"]))
    client.put("m/b", "2")
    (alone,) = client.members
    say_error("added again", lambda: client.add_member(alone.peer_urls))
    client.put("m/b", "3")
    # The last thing to do: one of two is no majority.
    added = client.add_member(["http://127.0.0.1:1"])
    say("added", added.name, list(added.peer_urls))


def main() -> None:
    with etcd3.client(host=sys.argv[1], port=int(sys.argv[2]), timeout=20) as client:
        for part in (keys_and_values, transactions, leases, watches, locks, maintenance, membership):
            say(f"-- {part.__name__}")
            part(client)


if __name__ == "__main__":
    main()
