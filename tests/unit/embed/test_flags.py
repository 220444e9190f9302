"""Command lines are read as Go's flag package reads them."""

from __future__ import annotations

import pytest

from etcdpy.embed.assemble import config_of_flags
from etcdpy.embed.config import Config
from etcdpy.embed.flags import HelpWanted, UsageError, parse_arguments, read_go_integer


def config_of(*arguments: str) -> Config:
    return config_of_flags(parse_arguments(arguments))


@pytest.mark.parametrize("line", ["-name x", "--name x", "-name=x", "--name=x"])
def test_four_ways_to_write_a_flag(line: str) -> None:
    assert config_of(*line.split()).name == "x"


def test_a_boolean_takes_its_value_behind_an_equals_sign_only() -> None:
    assert config_of("--pre-vote=false").pre_vote is False
    assert config_of("--unsafe-no-fsync").unsafe_no_fsync is True

    parsed = parse_arguments(["--pre-vote", "false"])
    assert (parsed.values, parsed.positional) == ({"pre-vote": True}, ["false"])


def test_the_last_one_counts() -> None:
    assert config_of("--name=a", "--name=b").name == "b"


def test_a_value_may_look_like_a_flag() -> None:
    assert config_of("--name", "--wal-dir", "--data-dir", "x") == Config(name="--wal-dir", data_dir="x")


@pytest.mark.parametrize("line", ["-h", "--help", "-help", "--name x -h --nope"])
def test_help_is_wanted(line: str) -> None:
    with pytest.raises(HelpWanted):
        parse_arguments(line.split())


def test_two_dashes_end_the_flags() -> None:
    parsed = parse_arguments(["--name=a", "--", "--name=b"])

    assert (parsed.values, parsed.positional) == ({"name": "a"}, ["--name=b"])


def test_names_of_etcd_0_4_are_taken_and_remembered() -> None:
    assert parse_arguments(["-v", "--force=x", "--cluster-active-size"]).ignored == [
        "v",
        "force",
        "cluster-active-size",
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [("10", 10), ("0x1F", 31), ("0b11", 3), ("0o17", 15), ("017", 15), ("1_000", 1000), ("0_17", 15), ("0", 0)],
)
def test_whole_numbers_as_go_writes_them(text: str, number: int) -> None:
    assert read_go_integer(text, is_signed=False) == number


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1__0", "_1", "08", "0x", "1e3", "\u0661", "--1", "+1"])
def test_what_is_no_whole_number(text: str) -> None:
    assert read_go_integer(text, is_signed=False) is None


def test_signs() -> None:
    assert read_go_integer("-0x10", is_signed=True) == -16
    assert read_go_integer("+7", is_signed=True) == 7


def test_the_complaint_of_max_concurrent_streams_is_worded_by_strconv() -> None:
    with pytest.raises(UsageError, match='strconv.ParseUint: parsing "x": invalid syntax'):
        parse_arguments(["--max-concurrent-streams=x"])


def test_lists() -> None:
    config = config_of(
        "--listen-client-urls=http://127.0.0.1:2, http://127.0.0.1:1,http://127.0.0.1:2",
        "--advertise-client-urls=http://a:1",
        "--host-whitelist=b,a",
        "--cors=*",
    )

    assert config.listen_client_urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert (config.host_whitelist, config.cors) == (("a", "b"), ("*",))


def test_durations_become_seconds() -> None:
    assert config_of("--backend-batch-interval=1m30.5s").backend_batch_interval_seconds == 90.5


def test_the_name_without_prefix_wins() -> None:
    both = ("--warning-apply-duration=2s", "--experimental-warning-apply-duration=3s")

    assert config_of(*both).warning_apply_duration_seconds == 2.0
    assert config_of(both[1]).warning_apply_duration_seconds == 3.0


def test_listening_elsewhere_leaves_nothing_to_advertise() -> None:
    assert config_of("--listen-client-urls=http://127.0.0.1:1").advertise_client_urls == ()


def test_discovery_takes_the_default_cluster_away() -> None:
    assert config_of("--discovery-srv=example.org").initial_cluster == ""
