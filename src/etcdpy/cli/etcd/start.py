"""From the command line to a Config that can be run, or to an exit code: everything before the event loop.

    exit 0    --help, --version
    exit 2    the command line cannot be read: the mistake, then the usage
    exit 1    the settings are wrong: log lines

Messages, their order and the codes are etcd's (facts 2.4). Upstream: etcdmain.startEtcdOrProxyV2.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from etcdpy.base.duration import format_duration
from etcdpy.base.log import build_logger, close_logger, log_fatal, log_info, log_warn
from etcdpy.cli.etcd.usage import USAGE, flags_text, version_text
from etcdpy.embed.assemble import config_of_file, config_of_flags, with_default_cluster
from etcdpy.embed.config import Config
from etcdpy.embed.config_file import ConfigFileExit, read_config_file
from etcdpy.embed.environment import CONFIG_FILE_VARIABLE, add_environment
from etcdpy.embed.errors import AdvertiseUrlsUnset, ConfigError, NotSupportedYet, ShadowedVariable, StartError
from etcdpy.embed.flags import HelpWanted, ParsedFlags, UsageError, parse_arguments
from etcdpy.embed.initial_cluster import check_initial_cluster
from etcdpy.embed.log_setup import build_configured_logger
from etcdpy.embed.support import check_support
from etcdpy.embed.validate import check_config, check_start

EXIT_OK: Final = 0
EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2

# What only the owner may read, as etcd makes it.
DATA_DIRECTORY_MODE: Final = 0o700
SHADOWED_TEXT: Final = (
    "conflicting environment variable is shadowed by corresponding command-line flag "
    "(either unset environment variable or disable flag))"
)
LOADED_TEXT: Final = (
    "loaded server configuration, other configuration command line flags and environment variables "
    "will be ignored if provided"
)


class Exit(Exception):
    """The program ends here, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Prepared:
    """A member that may be started. `log` is open; whoever runs the member closes it."""

    def __init__(self, config: Config, log: logging.Logger) -> None:
        self.config = config
        self.log = log


def prepare(arguments: Sequence[str], environment: Mapping[str, str]) -> Prepared:
    """Read, check and log the settings; `arguments` begins with the program's name. Raise Exit."""
    parsed = _read_arguments(arguments[1:])
    early = build_logger()  # for what is to be said before the settings tell where
    try:
        config = _gather(parsed, arguments, environment, early)
        log = build_configured_logger(config)
    except ShadowedVariable as error:
        log_fatal(early, SHADOWED_TEXT, environment_variable=error.name)
        raise Exit(EXIT_REFUSED) from None
    except ConfigFileExit as error:
        print(error, file=sys.stderr)
        raise Exit(EXIT_REFUSED) from None
    except ConfigError as error:
        _refuse(early, arguments, error)
        raise Exit(EXIT_REFUSED) from None
    finally:
        close_logger(early)
    _log_raised_timeouts(config, log)
    try:
        return Prepared(_check(config, arguments, log, path=_file_name(parsed, environment)), log)
    except BaseException:
        close_logger(log)
        raise


def _log_raised_timeouts(config: Config, log: logging.Logger) -> None:
    for name, wanted, used in (
        ("raft-read-timeout", config.raft_read_timeout_seconds, config.raft_read_seconds),
        ("raft-write-timeout", config.raft_write_timeout_seconds, config.raft_write_seconds),
    ):
        if wanted < used:
            log_info(log, f"{name} increased to minimum value: {format_duration(used)}")


def _read_arguments(arguments: Sequence[str]) -> ParsedFlags:
    try:
        return parse_arguments(arguments)
    except HelpWanted:
        print(USAGE, file=sys.stderr)
        print(flags_text())
        raise Exit(EXIT_OK) from None
    except UsageError as error:
        print(error, file=sys.stderr)
        print(USAGE, file=sys.stderr)
        raise Exit(EXIT_USAGE) from None


def _file_name(parsed: ParsedFlags, environment: Mapping[str, str]) -> str:
    return str(parsed.values.get("config-file") or environment.get(CONFIG_FILE_VARIABLE, ""))


def _gather(
    parsed: ParsedFlags, arguments: Sequence[str], environment: Mapping[str, str], log: logging.Logger
) -> Config:
    if parsed.positional:
        raise ConfigError(f"'{parsed.positional[0]}' is not a valid flag")
    if parsed.values.get("version"):
        print(version_text(), end="")
        raise Exit(EXIT_OK)
    path = _file_name(parsed, environment)
    if path:
        return config_of_file(read_config_file(path))
    add_environment(parsed, environment, log)
    for name in parsed.ignored:
        log_warn(log, "flag is no longer supported; ignoring it", flag=f"-{name}")
    return config_of_flags(parsed)


def _refuse(log: logging.Logger, arguments: Sequence[str], error: Exception) -> None:
    log_info(log, "Running: ", args=list(arguments))
    log_warn(log, "failed to verify flags", error=error)
    if isinstance(error, AdvertiseUrlsUnset):
        log_warn(log, "advertise client URLs are not set", error=error)


def _check(config: Config, arguments: Sequence[str], log: logging.Logger, *, path: str) -> Config:
    """Return the settings completed. Raise Exit."""
    fault = _find_start_fault(config)
    try:
        check_config(config)
        # What is wrong is first of all wrong, and only then not supported yet.
        check_support(config if fault is None else _without_faults(config))
    except ConfigError as error:
        _refuse(log, arguments, error)
        raise Exit(EXIT_REFUSED) from None
    if path:
        log_info(log, LOADED_TEXT, path=path)
    log_info(log, "Running: ", args=list(arguments))
    config, host = with_default_cluster(config)
    if host:
        log_info(log, "detected default host for advertise", host=host)
    if not config.data_dir:
        config = dataclasses.replace(config, data_dir=str(config.data_path))
        log_warn(log, "'data-dir' was empty; using default", data_dir=config.data_dir)
    if fault is not None:
        _fail(log, fault)
    try:
        _check_place(config, log)
    except (StartError, NotSupportedYet) as error:
        _fail(log, error)
    return config


def _find_start_fault(config: Config) -> StartError | None:
    try:
        check_start(config)
    except StartError as error:
        return error
    return None


def _without_faults(config: Config) -> Config:
    """Return the settings without those that `check_start` looks at."""
    return dataclasses.replace(
        config, listen_peer_urls=(), listen_client_urls=(), auto_compaction_retention="0", auth_token="simple"
    )


def _check_place(config: Config, log: logging.Logger) -> None:
    """Look at the data directory: is the member there, or may it be founded, and can we write?"""
    if config.has_wal:
        log_info(log, "server has been already initialized", data_dir=config.data_dir, dir_type="member")
    _make_data_directory(config.data_dir)
    _warn_of_mode(config.data_dir, log)
    if not (config.has_wal or config.is_discovered):
        check_initial_cluster(config)


def _make_data_directory(path: str) -> None:
    try:
        os.makedirs(path, DATA_DIRECTORY_MODE, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except FileExistsError:
        raise StartError(f"cannot access data directory: mkdir {path}: not a directory") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"cannot access data directory: mkdir {path}: {reason}") from None


def _warn_of_mode(path: str, log: logging.Logger) -> None:
    mode = os.stat(path).st_mode
    if stat.S_IMODE(mode) != DATA_DIRECTORY_MODE:
        log_warn(
            log,
            "check file permission",
            error=f'directory "{path}" exist, but the permission is "{stat.filemode(mode)}". The recommended '
            'permission is "-rwx------" to prevent possible unprivileged access to the data',
        )


def _fail(log: logging.Logger, error: Exception) -> None:
    """Say what etcd says when a start fails, and end."""
    log_warn(log, "failed to start etcd", error=error)
    log_fatal(log, "discovery failed", error=error)
    raise Exit(EXIT_REFUSED)
