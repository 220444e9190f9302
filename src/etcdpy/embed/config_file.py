"""Settings from `--config-file`: YAML, of which JSON is a part. The file then is the whole configuration.

Keys are the names of the flags, in any case, but for these:

    client-transport-security, peer-transport-security    maps that hold what the TLS flags say
    socket-options                                        a map: reuse-port, reuse-address
    log-outputs, cipher-suites                            lists
    experimental-snapshot-catch-up-entries                so spelt
    initial-cluster-state                                 checked with the rest, not here
    durations                                             whole nanoseconds

Unknown keys pass silently and null means not given, as in etcd: its own sample file holds keys that it does not know.
etcd turns the YAML into JSON and lets Go's decoder fill a struct; the complaints are worded as that decoder's.

Upstream: embed.ConfigFromFile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from etcdpy.embed.errors import ConfigError
from etcdpy.embed.flag_table import BY_NAME, FLAGS, Flag
from etcdpy.embed.flags import NUMBER_RANGES, ParsedFlags
from etcdpy.embed.urls import UrlError, parse_urls

# libyaml's is quicker and words its complaints as etcd's does; it is in every ordinary build of PyYAML.
_Loader: Final[type[yaml.SafeLoader] | type[yaml.CSafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# A configuration is a page or two; what is larger is no configuration.
FILE_BYTES_MAX: Final = 1024 * 1024

_DECODE: Final = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal"

# Names of Go's types, which the complaints show.
_GO_TYPES: Final = {"duration": "time.Duration", "strings": "[]string", "cipher-suites": "[]string", "bool": "bool"}
_NUMERIC_TYPES: Final = frozenset({*NUMBER_RANGES, "time.Duration"})
# Lists in a file; all other lists are comma-separated texts there too.
_LIST_KEYS: Final = frozenset({"log-outputs", "cipher-suites"})

_TLS_KEYS: Final[Mapping[str, str]] = {
    "cert-file": "cert-file",
    "key-file": "key-file",
    "client-cert-file": "client-cert-file",
    "client-key-file": "client-key-file",
    "client-cert-auth": "client-cert-auth",
    "trusted-ca-file": "trusted-ca-file",
    "auto-tls": "auto-tls",
}
_SECURITY_FLAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "client-transport-security": {**_TLS_KEYS, "allowed-hostname": "client-cert-allowed-hostname"},
    "peer-transport-security": {
        **{key: f"peer-{name}" for key, name in _TLS_KEYS.items()},
        "allowed-cn": "peer-cert-allowed-cn",
        "allowed-hostname": "peer-cert-allowed-hostname",
        "skip-client-san-verification": "experimental-peer-skip-client-san-verification",
    },
}
_SOCKET_FLAGS: Final = {"reuse-port": "socket-reuse-port", "reuse-address": "socket-reuse-address"}


class ConfigFileExit(Exception):
    """A URL of the file is wrong: etcd prints `str()` bare, without a log line, and exits with 1."""


def read_config_file(path: str) -> ParsedFlags:
    """Return the settings of a file. Raise ConfigError or ConfigFileExit."""
    document = _load(_read(path))
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigError(f"{_DECODE} {_json_kind(document)} into Go value of type embed.configYAML")
    parsed = ParsedFlags()
    settings = {str(key).lower(): value for key, value in document.items()}
    for flag in FLAGS:
        key = flag.file_key
        if key is not None and settings.get(key) is not None:
            parsed.values[flag.name] = _read_value(flag, key, settings[key])
    for key, flags in (*_SECURITY_FLAGS.items(), ("socket-options", _SOCKET_FLAGS)):
        if settings.get(key) is not None:
            _read_map(parsed, key, flags, settings[key])
    _split_urls(parsed)
    return parsed


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except IsADirectoryError:
        raise ConfigError(f"read {path}: is a directory") from None
    except OSError as error:
        raise ConfigError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(f"{Path(path)}: larger than {FILE_BYTES_MAX} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError("error converting YAML to JSON: yaml: invalid leading UTF-8 octet") from None


def _load(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        # Counted from 0, which is how etcd's library comes to show the line before.
        line = f" line {mark.line}:" if mark is not None and mark.line else ""
        raise ConfigError(f"error converting YAML to JSON: yaml:{line} {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"error converting YAML to JSON: yaml: {error}") from None


def _json_kind(value: object) -> str:
    """Name a value as Go's decoder does."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "string"


def _refuse(value: object, key: str, go_type: str) -> ConfigError:
    kind = _json_kind(value)
    shown = f"{kind} {value}" if kind == "number" and go_type in _NUMERIC_TYPES else kind
    return ConfigError(f"{_DECODE} {shown} into Go struct field configYAML.{key} of type {go_type}")


def _read_value(flag: Flag, key: str, value: object) -> object:
    """Return the value of a flag, or the text of URLs that are still to be split."""
    kind = flag.kind
    if key in _LIST_KEYS:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _refuse(value, key, "[]string")
        return tuple(value)
    if kind == "bool":
        if not isinstance(value, bool):
            raise _refuse(value, key, "bool")
        return value
    if kind in NUMBER_RANGES or kind == "duration":
        return _read_number(flag, key, value)
    if not isinstance(value, str):
        raise _refuse(value, key, "string")
    if flag.name == "proxy" and value not in flag.choices:
        raise ConfigFileExit("unexpected error setting up proxyFlag: invalid value")
    if kind == "strings":
        return tuple(sorted(set(value.split(","))))
    return value


def _read_number(flag: Flag, key: str, value: object) -> object:
    go_type = _GO_TYPES.get(flag.kind, flag.kind)
    lowest, highest = NUMBER_RANGES.get(flag.kind, NUMBER_RANGES["int64"])
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise _refuse(value, key, go_type)
    return value / 1e9 if flag.kind == "duration" else value


def _read_map(parsed: ParsedFlags, name: str, flags: Mapping[str, str], value: object) -> None:
    if not isinstance(value, dict):
        if name == "socket-options":
            return  # etcd does not mind
        raise _refuse(value, name, "embed.securityConfig")
    for key, setting in value.items():
        flag = BY_NAME.get(flags.get(str(key).lower(), ""))
        if flag is None or setting is None:
            continue
        if flag.kind == "bool" and not isinstance(setting, bool):
            if name == "socket-options":
                continue
            raise _refuse(setting, f"{name}.{key}", "bool")
        parsed.values[flag.name] = setting if flag.kind == "bool" else _names(setting)


def _names(value: object) -> str:
    """Allowed names are a list in a file and one text among flags."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _split_urls(parsed: ParsedFlags) -> None:
    """Replace the texts of URL settings by lists; an empty one is as good as none."""
    for name, shown in (
        ("listen-peer-urls", "listen-peer-urls"),
        ("listen-client-urls", "listen-client-urls"),
        ("listen-client-http-urls", "listen-client-http-urls"),
        ("initial-advertise-peer-urls", "initial-advertise-peer-urls"),
        ("advertise-client-urls", "advertise-peer-urls"),  # etcd's own slip
        ("listen-metrics-urls", "listen-metrics-urls"),
    ):
        _split(parsed, name, lambda text: parse_urls(text), f"unexpected error setting up {shown}")
    _split(parsed, "cors", lambda text: ("*",) if text == "*" else parse_urls(text), "unexpected error setting up cors")


def _split(parsed: ParsedFlags, name: str, parse: Callable[[str], tuple[str, ...]], complaint: str) -> None:
    text = parsed.values.pop(name, None)
    if not text:
        return
    try:
        parsed.values[name] = parse(str(text))
    except UrlError as error:
        raise ConfigFileExit(f"{complaint}: {error}") from None
