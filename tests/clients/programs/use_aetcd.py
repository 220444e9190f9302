"""What the PyPI package `aetcd` can do, once each, against the member at host and port given as arguments.

With a third one, `users`, it shows what a user may do after authentication was enabled.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import aetcd
import aetcd.exceptions
import aetcd.rtypes

from tests.clients.programs.telling import WAIT_SECONDS, say, say_attributes

KEY_NOTES = ("key", "value", "create_revision", "mod_revision", "version", "lease")


def noted(pair: Any) -> list[object] | None:
    return None if pair is None else [getattr(pair, name) for name in KEY_NOTES]


async def say_error(label: str, call: Callable[[], Awaitable[object]]) -> None:
    try:
        say(label, "went well", await call())
    except aetcd.ClientError as error:
        say(label, type(error).__name__, str(error))


async def keys_and_values(client: Any) -> None:
    await client.put(b"k/a", b"1")
    await client.put(b"k/b", b"\x00\xff")
    put = await client.put(b"k/a", b"2", prev_kv=True)
    say("put", noted(put.prev_kv), put.header.revision)
    say("get", noted(await client.get(b"k/a")), noted(await client.get(b"k/b", serializable=True)))
    say("get nothing", await client.get(b"k/none"))
    for order in ("ascend", "descend"):
        for target in ("key", "version", "create", "mod", "value"):
            found = await client.get_prefix(b"k/", sort_order=order, sort_target=target)
            say(f"prefix {order} {target}", [noted(pair) for pair in found])
    keys = await client.get_all(keys_only=True)
    say("keys", [noted(pair) for pair in keys], keys.more, keys.count)
    say("range", [noted(pair) for pair in await client.get_range(b"k/a", b"k/b")])
    say("replace", await client.replace(b"k/a", b"2", b"3"), await client.replace(b"k/a", b"2", b"4"))
    deleted = await client.delete(b"k/a", prev_kv=True)
    say("delete", noted(deleted.prev_kv), deleted.deleted, await client.delete(b"k/a"))
    say("delete range", (await client.delete_range(b"k/a", b"k/z", prev_kv=True)).deleted)
    await client.put(b"k/c", b"1")
    say("delete prefix", [noted(pair) for pair in await client.delete_prefix(b"k/", prev_kv=True)])
    await say_error("empty key", lambda: client.put(b"", b"x"))


async def transactions(client: Any) -> None:
    txn = client.transactions
    await client.put(b"t/a", b"1")
    succeeded, answers = await client.transaction(
        compare=[txn.value(b"t/a") == b"1", txn.version(b"t/a") > 0, txn.create(b"t/b") == 0, txn.mod(b"t/a") != 0],
        success=[txn.put(b"t/b", b"2"), txn.get(b"t/", range_end=b"t0"), txn.delete(b"t/a", prev_kv=True)],
        failure=[],
    )
    say("txn", succeeded, [(value, noted(pair)) for value, pair in answers[1]])
    say("txn delete", answers[2].response_delete_range.prev_kvs[0].value)
    succeeded, answers = await client.transaction([txn.value(b"t/b") < b"1"], [], [txn.get(b"t/b")])
    say("else", succeeded, [(value, noted(pair)) for value, pair in answers[0]])
    twice = [txn.put(b"t/x", b"1"), txn.delete(b"t/x")]
    await say_error("twice", lambda: client.transaction([], twice, []))


async def leases(client: Any) -> None:
    lease = await client.lease(100, lease_id=4711)
    await client.put(b"l/a", b"1", lease=lease)
    await client.put(b"l/b", b"1", lease=lease)
    remaining = await lease.remaining_ttl()
    say("lease", lease.id, lease.ttl, await lease.granted_ttl(), 0 < remaining <= 100, sorted(await lease.keys()))
    answer = await lease.refresh()
    say("refresh", answer.ID, answer.TTL)
    await say_error("granted twice", lambda: client.lease(100, lease_id=4711))
    await lease.revoke()
    say("revoked", len(await client.get_prefix(b"l/")), (await client.get_lease_info(4711)).TTL)
    say("refresh of a revoked one", (await lease.refresh()).TTL)
    await say_error("revoked twice", lease.revoke)
    watch = await client.watch(b"l/short", kind=aetcd.rtypes.EventKind.DELETE)
    await client.put(b"l/short", b"1", lease=await client.lease(1))
    async with asyncio.timeout(WAIT_SECONDS):
        async for event in watch:
            say("expired", event.kind, event.kv.key)
            break
    await watch.cancel()


async def watches(client: Any) -> None:
    start = (await client.put(b"w/a", b"0")).header.revision
    watch = await client.watch_prefix(b"w/", start_revision=start, prev_kv=True, progress_notify=True)
    await client.put(b"w/a", b"1")
    await client.put(b"w/b", b"1")
    await client.delete(b"w/a")
    left = 4
    async for event in watch:
        say("event", event.kind, noted(event.kv), noted(event.prev_kv))
        left -= 1
        if left == 0:
            break
    await watch.cancel()

    only_puts = await client.watch_prefix_once(b"w/", start_revision=start, kind=aetcd.rtypes.EventKind.PUT, timeout=9)
    only_deletes = await client.watch_once(b"w/a", start_revision=start, kind=aetcd.rtypes.EventKind.DELETE, timeout=9)
    say("filtered", noted(only_puts.kv), noted(only_deletes.kv))
    await say_error("nothing", lambda: client.watch_once(b"w/none", timeout=0.2))
    many = [await client.watch(b"w/%d" % number) for number in range(50)]
    await asyncio.gather(*(client.put(b"w/%d" % number, b"%d" % number) for number in range(50)))
    say("many", sorted([[event.kv.value async for event in _first(watch)][0] for watch in many]))

    await client.compact((await client.get(b"w/b")).mod_revision, physical=True)
    await say_error("compacted", lambda: client.watch_once(b"w/a", start_revision=start, timeout=9))
    await say_error("compacted again", lambda: client.compact(start))


async def _first(watch: Any) -> Any:
    async for event in watch:
        yield event
        break
    await watch.cancel()


async def locks(client: Any) -> None:
    async with client.lock(b"resource", ttl=50) as lock:
        other = client.lock(b"resource", ttl=50)
        say("locked", await lock.is_acquired(), await other.acquire(timeout=0.3), await other.is_acquired())
        say("refreshed", (await lock.refresh()).TTL)
        waiting = asyncio.ensure_future(other.acquire(timeout=20))
    say("unlocked", await lock.is_acquired(), await waiting, await other.release(), await lock.release())


async def maintenance(client: Any) -> None:
    async for member in client.members():
        say_attributes("member", member, ("id", "name", "peer_urls", "client_urls"))
    status = await client.status()
    say("status", status.leader.id, status.raft_term, status.raft_index > 0, status.db_size > 0)
    say("alarm", [(alarm.alarm_type, alarm.member_id) for alarm in await client.create_alarm()])
    await say_error("no space", lambda: client.put(b"m/a", b"1"))
    say("alarms", [(alarm.alarm_type, alarm.member_id) async for alarm in client.list_alarms()])
    await client.disarm_alarm()
    say("disarmed", [alarm async for alarm in client.list_alarms()])
    await client.put(b"m/a", b"1")
    await client.defragment()
    blob = io.BytesIO()
    await client.snapshot(blob)
    database, digest = blob.getvalue()[:-32], blob.getvalue()[-32:]
    say("snapshot", len(database) % 4096, hashlib.sha256(database).digest() == digest)
    # The real one forgets a change of the membership that comes before it is through with the last: a put is later.
    await say_error("removed unknown", lambda: client.remove_member(7))
    await client.put(b"m/b", b"1")
    await say_error("updated unknown", lambda: client.update_member(7, ["http://127.0.0.1:2"]))
    await client.put(b"m/b", b"2")
    # The last thing to do: one of two is no majority.
    added = await client.add_member(["http://127.0.0.1:1"])
    say("added", added.name, list(added.peer_urls))


async def as_users(host: str, port: int) -> None:
    """Somebody enabled authentication: root, and a user who may read and write below u/."""
    async with aetcd.Client(host, port, username="user", password="pw") as client:
        await client.put(b"u/a", b"1")
        say("allowed", (await client.get(b"u/a")).value, (await client.get_prefix(b"u/")).count)
        await say_error("not allowed", lambda: client.put(b"v/a", b"1"))
        await say_error("nor to read", lambda: client.get_all())
        await say_error("nor to defragment", client.defragment)
        once = await client.watch_once(b"u/a", start_revision=1, timeout=9)
        say("watch", once.kv.value)
    await say_error("wrong", lambda: aetcd.Client(host, port, username="user", password="no").connect())
    async with aetcd.Client(host, port) as client:
        await say_error("nobody", lambda: client.get(b"u/a"))


async def main(host: str, port: int, mode: str = "") -> None:
    if mode == "users":
        await as_users(host, port)
        return
    async with aetcd.Client(host, port, timeout=20) as client:
        for part in (keys_and_values, transactions, leases, watches, locks, maintenance):
            say(f"-- {part.__name__}")
            await part(client)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
