"""What cannot be honoured yet is refused by name; nothing is taken and then silently not done."""

from __future__ import annotations

import dataclasses

import pytest

from etcdpy.embed.config import Config
from etcdpy.embed.errors import NotSupportedYet
from etcdpy.embed.flag_table import LATER, REFUSED, Flag, setting_flags
from etcdpy.embed.support import changed_settings, check_support


def other_value(flag: Flag) -> object:
    value = getattr(Config(), flag.config_field)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return ("x",) if isinstance(value, tuple) else "x"


@pytest.mark.parametrize(
    "flag", [flag for flag in setting_flags() if flag.support in (LATER, REFUSED)], ids=lambda flag: flag.name
)
def test_a_flag_for_later_is_refused_unless_it_is_at_its_default(flag: Flag) -> None:
    config = dataclasses.replace(Config(), **{flag.config_field: other_value(flag)})  # type: ignore[arg-type]

    with pytest.raises(NotSupportedYet, match="is not supported( yet)?: "):
        check_support(config)


@pytest.mark.parametrize(
    "flag", [flag for flag in setting_flags() if flag.support not in (LATER, REFUSED)], ids=lambda flag: flag.name
)
def test_other_flags_pass(flag: Flag) -> None:
    if flag.kind in ("urls", "select"):
        return  # their values are looked at one by one, below
    config = dataclasses.replace(Config(), **{flag.config_field: other_value(flag)})  # type: ignore[arg-type]

    check_support(config)


def test_the_socket_of_a_peer_has_no_path() -> None:
    check_support(Config(initial_advertise_peer_urls=("unix://m:1",)))
    with pytest.raises(NotSupportedYet, match="unix:///run/peer is not supported: the socket of a peer is a file in"):
        check_support(Config(initial_advertise_peer_urls=("unix:///run/peer",)))


def test_changed_settings_are_named() -> None:
    assert changed_settings(Config(name="x", max_wals=1)) == ["max_wals", "name"]
