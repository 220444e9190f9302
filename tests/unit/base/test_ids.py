"""Ids as etcd computes them, and request ids that nobody else bears."""

from __future__ import annotations

from etcdpy.base.ids import RequestIdGenerator, compute_cluster_id, compute_member_id, format_id

URL = "http://127.0.0.1:23480"


def test_ids_are_those_of_a_running_etcd() -> None:
    """Seen on 3.5.1 with this peer URL and the default token."""
    member_id = compute_member_id([URL], "etcd-cluster")

    assert format_id(member_id) == "d46c78f094ae4bda"
    assert format_id(compute_cluster_id([member_id])) == "aa60e965f8e2bda6"


def test_the_order_of_urls_and_members_does_not_count() -> None:
    assert compute_member_id(["b", "a"], "t") == compute_member_id(["a", "b"], "t")
    assert compute_cluster_id([2, 1]) == compute_cluster_id([1, 2])


def test_token_urls_and_time_each_make_another_member() -> None:
    ids = {
        compute_member_id(["a"], "t"),
        compute_member_id(["a"], "u"),
        compute_member_id(["b"], "t"),
        compute_member_id(["a"], "t", 1_700_000_000),
        compute_member_id(["a"], "t", 1_700_000_001),
        compute_member_id(["a"], "t", 0),
    }

    assert len(ids) == 6


def test_a_request_id_is_member_time_and_counter() -> None:
    generator = RequestIdGenerator(0xD46C78F094AE4BDA, 0x123456789A)

    assert [generator.next_id() for _ in range(3)] == [0x4BDA_12345678_9A01 + number for number in range(3)]


def test_the_time_is_cut_to_its_forty_bits() -> None:
    assert RequestIdGenerator(1, (7 << 40) + 5).next_id() == (1 << 48) | (5 << 8) | 1


def test_ids_do_not_repeat_and_stay_within_the_member() -> None:
    """Not even when the lower part turns over."""
    generator = RequestIdGenerator(0xBEEF, (1 << 40) - 1)
    ids = [generator.next_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert {request_id >> 48 for request_id in ids} == {0xBEEF}


def test_a_restart_a_millisecond_later_goes_on_with_new_ids() -> None:
    before = RequestIdGenerator(1, 1000)
    after = RequestIdGenerator(1, 1001)

    assert not {before.next_id() for _ in range(255)} & {after.next_id() for _ in range(255)}


def test_two_members_never_share_an_id() -> None:
    one, two = RequestIdGenerator(0x10001, 1000), RequestIdGenerator(0x10002, 1000)

    assert not {one.next_id() for _ in range(600)} & {two.next_id() for _ in range(600)}


def test_ids_are_printed_without_padding() -> None:
    assert (format_id(0xA), format_id(0)) == ("a", "0")
