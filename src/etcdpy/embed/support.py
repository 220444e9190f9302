"""What this release cannot do yet, told before anything is started.

A setting that would be taken and then silently not done is worse than one that is refused: the refusal names the flag
and says why. `flag_table` tells which flags those are; here are, besides, single values of flags that otherwise work.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from etcdpy.embed.config import Config
from etcdpy.embed.errors import NotSupportedYet
from etcdpy.embed.flag_table import BY_NAME, LATER, Flag, setting_flags
from etcdpy.embed.urls import SOCKET_SCHEMES, parse_url

DEFAULTS: Final = Config()


def check_support(config: Config) -> None:
    """Raise NotSupportedYet for the first setting that we cannot honour."""
    for flag in setting_flags():
        if flag.support == LATER and getattr(config, flag.config_field) != getattr(DEFAULTS, flag.config_field):
            raise NotSupportedYet(f"--{flag.name} is not supported yet: {_reason(flag)}")
    if config.log_format != "json":
        raise NotSupportedYet(f"--log-format={config.log_format} is not supported yet: log lines are JSON")
    for name in ("discovery", "discovery-proxy"):
        _check_discovery_scheme(name, getattr(config, BY_NAME[name].config_field))
    if any(endpoint.startswith(("https:", "unixs:")) for endpoint in config.discovery_endpoints):
        raise NotSupportedYet(
            "--discovery-endpoints with TLS are not supported yet: TLS towards the discovery service comes later"
        )
    for name in ("listen-peer-urls", "listen-client-urls", "listen-client-http-urls", "listen-metrics-urls"):
        _check_schemes(name, getattr(config, BY_NAME[name].config_field))


def _reason(flag: Flag) -> str:
    """Return the note of a flag as the end of a sentence."""
    note = flag.note.removesuffix(".")
    return note if note.split(" ", 1)[0].isupper() else note[:1].lower() + note[1:]


def _check_schemes(name: str, urls: tuple[str, ...]) -> None:
    for text in urls:
        scheme = parse_url(text).scheme
        if scheme in SOCKET_SCHEMES:
            raise NotSupportedYet(f"--{name}={text} is not supported yet: sockets of the file system come later")


def _check_discovery_scheme(name: str, text: str) -> None:
    if text.startswith("https:"):
        raise NotSupportedYet(f"--{name}={text} is not supported yet: TLS towards the discovery service comes later")


def changed_settings(config: Config) -> list[str]:
    """Return the names of the fields that are not at their default, sorted."""
    fields = dataclasses.fields(Config)
    return sorted(field.name for field in fields if getattr(config, field.name) != getattr(DEFAULTS, field.name))
