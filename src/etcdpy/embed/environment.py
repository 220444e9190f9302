"""Settings from ETCD_* variables: those flags that were not given on the command line.

A variable and its flag both given is fatal: one of the two was surely meant otherwise. A variable that no flag knows is
worth a warning. An empty one counts as not set.

Upstream: pkg/flags.SetFlagsFromEnv.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from etcdpy.base.log import log_info, log_warn
from etcdpy.embed.errors import ConfigError, ShadowedVariable
from etcdpy.embed.flag_table import BY_NAME
from etcdpy.embed.flags import ParsedFlags, quote

PREFIX: Final = "ETCD_"
CONFIG_FILE_VARIABLE: Final = "ETCD_CONFIG_FILE"
# Would print the version and exit, if it were taken as a flag; images set it to say what is inside.
VERSION_VARIABLE: Final = "ETCD_VERSION"


def add_environment(parsed: ParsedFlags, environment: Mapping[str, str], log: logging.Logger) -> None:
    """Take what the variables say into `parsed`. Raise ShadowedVariable or ConfigError."""
    variables = dict(environment)
    if variables.get(VERSION_VARIABLE):
        value = variables.pop(VERSION_VARIABLE)
        log_warn(log, "cannot set special environment variable", key=VERSION_VARIABLE, value=value)
    given = {BY_NAME[name].variable for name in parsed.values}
    used: set[str] = set()
    fault = ""
    for name in sorted(BY_NAME):
        flag = BY_NAME[name]
        text = variables.get(flag.variable, "")
        if not text or flag.variable in given:
            continue
        used.add(flag.variable)
        try:
            parsed.set(flag, text)
        except ValueError as error:
            fault = f"invalid value {quote(text)} for {flag.variable}: {error}"
            continue
        log_info(log, "recognized and used environment variable", variable_name=flag.variable, variable_value=text)
    _check_others(variables, given=given, used=used, log=log)
    if fault:
        raise ConfigError(fault)


def _check_others(variables: Mapping[str, str], *, given: set[str], used: set[str], log: logging.Logger) -> None:
    for variable, value in variables.items():
        if variable in given:
            raise ShadowedVariable(variable)
        if variable.startswith(PREFIX) and variable not in used:
            log_warn(log, "unrecognized environment variable", environment_variable=f"{variable}={value}")
