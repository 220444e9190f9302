"""What this release cannot do yet, told before anything is started.

A setting that would be taken and then silently not done is worse than one that is refused: the refusal names the flag
and says why. `flag_table` tells which flags those are; here are, besides, single values of flags that otherwise work.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from etcdpy.embed.config import Config
from etcdpy.embed.errors import NotSupportedYet
from etcdpy.embed.flag_table import LATER, REFUSED, Flag, setting_flags
from etcdpy.embed.urls import parse_url

DEFAULTS: Final = Config()
VERDICTS: Final = {LATER: "not supported yet", REFUSED: "not supported"}


def check_support(config: Config) -> None:
    """Raise NotSupportedYet for the first setting that we cannot honour."""
    for flag in setting_flags():
        if flag.support not in VERDICTS or getattr(config, flag.config_field) == getattr(DEFAULTS, flag.config_field):
            continue
        raise NotSupportedYet(f"--{flag.name} is {VERDICTS[flag.support]}: {_reason(flag)}")
    for text in config.initial_advertise_peer_urls:
        _check_peer_socket(text)


def _reason(flag: Flag) -> str:
    """Return the note of a flag as the end of a sentence."""
    note = flag.note.removesuffix(".")
    return note if note.split(" ", 1)[0].isupper() else note[:1].lower() + note[1:]


def _check_peer_socket(text: str) -> None:
    """Members ask each other by HTTP, where the path of a URL is what is asked for: it cannot be the socket's, too."""
    if parse_url(text).path:
        raise NotSupportedYet(
            f"--initial-advertise-peer-urls={text} is not supported: "
            "the socket of a peer is a file in the working directory, named as unix://host:port"
        )


def changed_settings(config: Config) -> list[str]:
    """Return the names of the fields that are not at their default, sorted."""
    fields = dataclasses.fields(Config)
    return sorted(field.name for field in fields if getattr(config, field.name) != getattr(DEFAULTS, field.name))
