"""What cannot be honoured yet is refused by name; nothing is taken and then silently not done."""

from __future__ import annotations

import dataclasses

import pytest

from etcdpy.embed.config import Config
from etcdpy.embed.errors import NotSupportedYet
from etcdpy.embed.flag_table import LATER, Flag, setting_flags
from etcdpy.embed.support import changed_settings, check_support


def other_value(flag: Flag) -> object:
    value = getattr(Config(), flag.config_field)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return ("x",) if isinstance(value, tuple) else "x"


@pytest.mark.parametrize(
    "flag", [flag for flag in setting_flags() if flag.support == LATER], ids=lambda flag: flag.name
)
def test_a_flag_for_later_is_refused_unless_it_is_at_its_default(flag: Flag) -> None:
    config = dataclasses.replace(Config(), **{flag.config_field: other_value(flag)})  # type: ignore[arg-type]

    with pytest.raises(NotSupportedYet, match="is not supported yet: "):
        check_support(config)


@pytest.mark.parametrize(
    "flag", [flag for flag in setting_flags() if flag.support != LATER], ids=lambda flag: flag.name
)
def test_other_flags_pass(flag: Flag) -> None:
    if flag.kind in ("urls", "select"):
        return  # their values are looked at one by one, below
    config = dataclasses.replace(Config(), **{flag.config_field: other_value(flag)})  # type: ignore[arg-type]

    check_support(config)


@pytest.mark.parametrize("url", ["unix://x:1", "unixs://x:1"])
def test_unix_urls_are_refused(url: str) -> None:
    for field in ("listen_peer_urls", "listen_client_urls", "listen_client_http_urls", "listen_metrics_urls"):
        with pytest.raises(NotSupportedYet, match=f"{url} is not supported yet"):
            check_support(dataclasses.replace(Config(), **{field: (url,)}))  # type: ignore[arg-type]


def test_the_console_format_is_refused() -> None:
    with pytest.raises(NotSupportedYet, match="--log-format=console"):
        check_support(Config(log_format="console"))


def test_a_discovery_service_with_tls_is_refused() -> None:
    for changes in (
        {"discovery": "https://d/x"},
        {"discovery_proxy": "https://p"},
        {"discovery_endpoints": ("a:1", "https://b:1")},
    ):
        with pytest.raises(NotSupportedYet, match="TLS towards the discovery service comes later"):
            check_support(dataclasses.replace(Config(), **changes))


def test_changed_settings_are_named() -> None:
    assert changed_settings(Config(name="x", max_wals=1)) == ["max_wals", "name"]
