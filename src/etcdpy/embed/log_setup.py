"""The logger that the settings ask for."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from etcdpy.base.log import UnknownLevel, build_logger
from etcdpy.base.log_output import JOURNAL_OUTPUT, LogOutputError, Rotation, check_is_single_file
from etcdpy.embed.config import Config
from etcdpy.embed.errors import ConfigError

# Keys of --log-rotation-config-json, and Go's types, which its complaints show.
_ROTATION_TYPES: Final = {
    "maxsize": "int",
    "maxage": "int",
    "maxbackups": "int",
    "localtime": "bool",
    "compress": "bool",
}


def build_configured_logger(config: Config) -> logging.Logger:
    """Open the outputs of the log. Raise ConfigError with etcd's text."""
    if config.logger == "capnslog":
        raise ConfigError("--logger=capnslog is removed in v3.5")
    if config.logger != "zap":
        raise ConfigError(f'unknown logger option "{config.logger}"')
    if config.log_format != "json" and JOURNAL_OUTPUT in config.log_outputs:
        raise ConfigError(f"--log-format={config.log_format} is not for {JOURNAL_OUTPUT}, which takes JSON")
    try:
        return build_logger(
            level=config.log_level,
            outputs=config.log_outputs,
            rotation=_read_rotation(config),
            is_json=config.log_format == "json",
        )
    except (LogOutputError, UnknownLevel) as error:
        raise ConfigError(str(error)) from None


def _read_rotation(config: Config) -> Rotation | None:
    if not config.enable_log_rotation:
        return None
    check_is_single_file(config.log_outputs)
    settings = _load_rotation(config.log_rotation_config_json)
    return Rotation(
        max_size_megabytes=max(0, settings.get("maxsize", 0)),
        max_age_days=max(0, settings.get("maxage", 0)),
        max_backups=max(0, settings.get("maxbackups", 0)),
        is_local_time=settings.get("localtime", False),
        is_compressed=settings.get("compress", False),
    )


def _load_rotation(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except ValueError:
        reason = "unexpected end of JSON input" if not text.strip() else _first_fault(text)
        raise ConfigError(f"improperly formatted log rotation config: {reason}") from None
    if not isinstance(settings, dict):
        kind = "array" if isinstance(settings, list) else type(settings).__name__
        raise ConfigError(
            f"invalid log rotation config: json: cannot unmarshal {kind} into Go value of type embed.logRotationConfig"
        )
    for name, go_type in _ROTATION_TYPES.items():
        value = settings.get(name)
        wanted = bool if go_type == "bool" else int
        if name in settings and type(value) is not wanted:
            kind = {str: "string", bool: "bool", int: "number", float: "number"}.get(type(value), "object")
            raise ConfigError(
                f"invalid log rotation config: json: cannot unmarshal {kind} "
                f"into Go struct field logRotationConfig.{name} of type {go_type}"
            )
    return settings


def _first_fault(text: str) -> str:
    """Name the first character that cannot stand where it does, as Go does for the most common mistake."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos < len(text):
            where = "object key string" if "property name" in error.msg else "value"
            return f"invalid character '{text[error.pos]}' looking for beginning of {where}"
    return "unexpected end of JSON input"
