"""ETCD_* variables: precedence, shadowing, unknown ones."""

from __future__ import annotations

import json

import pytest

from etcdpy.base.log import close_logger, logger_to
from etcdpy.embed.environment import add_environment
from etcdpy.embed.errors import ConfigError, ShadowedVariable
from etcdpy.embed.flags import parse_arguments


class Lines:
    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def close(self) -> None:
        pass


def read(arguments: list[str], environment: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    """Return the settings, and the messages logged."""
    lines = Lines()
    log = logger_to(lines)
    parsed = parse_arguments(arguments)
    try:
        add_environment(parsed, environment, log)
    finally:
        close_logger(log)
    return parsed.values, [json.loads(line)["msg"] for line in lines.lines]


def test_a_variable_stands_in_for_its_flag() -> None:
    values, messages = read(["--name=a"], {"ETCD_MAX_WALS": "7", "PATH": "/bin"})

    assert values == {"name": "a", "max-wals": 7}
    assert messages == ["recognized and used environment variable"]


def test_an_empty_variable_is_not_used() -> None:
    values, messages = read([], {"ETCD_NAME": ""})

    assert values == {}
    assert messages == ["unrecognized environment variable"]


def test_a_variable_whose_flag_is_given_is_fatal_even_when_empty() -> None:
    with pytest.raises(ShadowedVariable) as caught:
        read(["--name=a"], {"ETCD_NAME": ""})

    assert caught.value.name == "ETCD_NAME"


def test_unknown_variables_are_only_told_of() -> None:
    assert read([], {"ETCD_NOPE": "1"})[1] == ["unrecognized environment variable"]


def test_the_version_is_not_printed_because_of_a_variable() -> None:
    values, messages = read([], {"ETCD_VERSION": "true"})

    assert values == {}
    assert messages == ["cannot set special environment variable"]


def test_the_last_wrong_variable_by_name_is_complained_of() -> None:
    with pytest.raises(ConfigError, match='invalid value "x" for ETCD_SNAPSHOT_COUNT: parse error'):
        read([], {"ETCD_SNAPSHOT_COUNT": "x", "ETCD_MAX_WALS": "y"})
