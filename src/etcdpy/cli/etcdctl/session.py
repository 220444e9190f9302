"""What one run of etcdctl works with: flags, settings, the client made from them, the printer, and the two outputs.

Settings come from the command line, else from ETCDCTL_* variables, else from the defaults. They are settled when the
client is made, that is after a command has checked its own arguments. A variable that is set while its flag is given is
fatal: one of the two would silently lose. Unknown variables are warned of.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Final

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, BAD_CONNECTION, BAD_FEATURE, ERROR, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.go_text import GoError
from etcdpy.cli.etcdctl.table import GLOBAL_FLAGS

if TYPE_CHECKING:
    import ssl

    from etcdpy.cli.etcdctl.printer.base import Printer
    from etcdpy.client.aio import AsyncClient
    from etcdpy.client.client import Client

VARIABLE_PREFIX: Final = "ETCDCTL_"
# How long gRPC lets one attempt to connect take.
DIAL_SECONDS_UNLIMITED: Final = 20.0


def variable_of(flag_name: str) -> str:
    return VARIABLE_PREFIX + flag_name.upper().replace("-", "_")


class Session:
    """One command's run. Invariant: `settle` ran before anything that a variable may set is read."""

    def __init__(self, flags: ParsedFlags, environment: Mapping[str, str]) -> None:
        self.flags = flags
        self.environment = environment
        # Variables of the same prefix that the command itself reads.
        self.own_variables: tuple[str, ...] = ()
        self._settled = False
        self._client: Client | None = None
        self._printer: Printer | None = None

    @property
    def arguments(self) -> list[bytes]:
        """The command's arguments as the bytes that were typed."""
        return [os.fsencode(argument) for argument in self.flags.arguments]

    @property
    def words(self) -> list[str]:
        """The command's arguments as text (broken UTF-8 as surrogates)."""
        return self.flags.arguments

    @property
    def hex(self) -> bool:
        return self.flags.boolean("hex")

    @property
    def format(self) -> str:
        return self.flags.string("write-out")

    @property
    def command_seconds(self) -> float:
        return self.flags.seconds("command-timeout")

    @property
    def dial_seconds(self) -> float:
        """Zero means: no limit of our own, so the one that gRPC has."""
        return self.flags.seconds("dial-timeout") or DIAL_SECONDS_UNLIMITED

    @property
    def endpoints(self) -> list[str]:
        return self.flags.strings("endpoints")

    def settle(self) -> None:
        """Take the variables into the flags."""
        if self._settled:
            return
        self._settled = True
        given = {variable_of(flag.name) for flag in GLOBAL_FLAGS if self.flags.is_given(flag.name)}
        used = set()
        for flag in GLOBAL_FLAGS:
            name = variable_of(flag.name)
            text = self.environment.get(name, "")
            if text and name not in given:
                used.add(name)
                try:
                    self.flags.set(flag.name, text)
                except GoError:
                    # As etcdctl: a variable that does not parse leaves the default.
                    continue
        self._check_variables(given, used)
        if self.flags.boolean("debug"):
            self._print_settings()
        if self.flags.string("discovery-srv"):
            # Going to the default endpoint instead would be the wrong cluster.
            raise Exit(BAD_FEATURE, "--discovery-srv is not supported: name the servers with --endpoints")

    def client(self) -> Client:
        """Return the client for all endpoints; exits with BAD_CONNECTION when it cannot be made."""
        if self._client is None:
            self.settle()
            self.printer()
            self._client = self.new_client(self.endpoints)
        return self._client

    def new_client(self, endpoints: list[str], *, named: str | None = None, iso_time: bool = True) -> Client:
        """Return a client for some endpoints; it reports failures as those of `named` (default: the first)."""
        from etcdpy.client.client import Client

        report = self._reporter((endpoints if named is None else [named]) or [""], iso_time=iso_time)
        user, password = self._credentials()
        try:
            client = Client(
                endpoints,
                dial_timeout=self.dial_seconds,
                command_timeout=self.command_seconds,
                ssl_context=self.ssl_context(),
                user=user,
                password=password,
                report=report,
            )
            if user:
                client.authenticate(self.dial_seconds)
        except (EtcdError, ValueError) as error:
            raise Exit(BAD_CONNECTION, str(error)) from None
        return client

    def new_async_client(self, endpoints: list[str]) -> AsyncClient:
        """Return a client for commands that wait for several things at once; it authenticates with its first call."""
        from etcdpy.client.aio import AsyncClient

        user, password = self._credentials()
        try:
            return AsyncClient(
                endpoints,
                dial_timeout=self.dial_seconds,
                command_timeout=self.command_seconds,
                ssl_context=self.ssl_context(),
                user=user,
                password=password,
                report=self._reporter(endpoints or [""], iso_time=True),
            )
        except (EtcdError, ValueError) as error:
            raise Exit(BAD_CONNECTION, str(error)) from None

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS settings of the flags, or None where TLS is not wanted."""
        for name in ("cert", "key", "cacert"):
            if self.flags.is_given(name) and not self.flags.string(name):
                raise Exit(BAD_ARGS, f"empty string is passed to --{name} option")
        cert, key, authority = (self.flags.string(name) for name in ("cert", "key", "cacert"))
        verify = not self.flags.boolean("insecure-skip-tls-verify")
        if not (cert or key or authority) and self.flags.boolean("insecure-transport"):
            if verify or not any(text.startswith("https:") for text in self.endpoints):
                return None
        from etcdpy.cli.etcdctl.tls import client_context

        return client_context(cert=cert, key=key, authority=authority, verify=verify)

    def printer(self) -> Printer:
        """Return the printer of the wanted format."""
        if self._printer is None:
            self.settle()
            from etcdpy.cli.etcdctl.printer.choice import FORMATS, make_printer

            if self.format not in FORMATS:
                raise Exit(BAD_FEATURE, "unsupported output format")

            self._printer = make_printer(self.format, sys.stdout.buffer, hex_wanted=self.hex)
        return self._printer

    def print_error(self, text: str) -> None:
        """Write to standard error, after what standard output holds."""
        sys.stdout.flush()
        sys.stderr.buffer.write(os.fsencode(text))
        sys.stderr.flush()

    # ---- parts

    def _check_variables(self, given: set[str], used: set[str]) -> None:
        from_environment: MutableMapping[str, str] = {
            name: text for name, text in self.environment.items() if name.startswith(VARIABLE_PREFIX)
        }
        for name, text in from_environment.items():
            if name in used or name in self.own_variables:
                continue
            from etcdpy.cli.etcdctl.zap import log_line

            if name in given:
                self.print_error(
                    log_line(
                        "fatal",
                        "conflicting environment variable is shadowed by corresponding command-line flag "
                        "(either unset environment variable or disable flag))",
                        caller="flags/flag.go:85",
                        fields={"environment-variable": name},
                    )
                )
                raise Exit(ERROR)
            self.print_error(
                log_line(
                    "warn",
                    "unrecognized environment variable",
                    caller="flags/flag.go:93",
                    fields={"environment-variable": f"{name}={text}"},
                )
            )

    def _print_settings(self) -> None:
        lines = []
        for flag in GLOBAL_FLAGS:
            value = self.flags.value(flag.name)
            if isinstance(value, bool):
                shown = "true" if value else "false"
            elif isinstance(value, int):
                from etcdpy.cli.etcdctl.go_text import format_duration

                shown = format_duration(value)
            else:
                shown = value if isinstance(value, str) else f"[{','.join(value)}]"
            lines.append(f"{variable_of(flag.name)}={shown}\n")
        self.print_error("".join(lines))

    def _credentials(self) -> tuple[bytes, bytes]:
        user, password = self.flags.string("user"), self.flags.string("password")
        if not user:
            return b"", b""
        if not password:
            user, colon, password = user.partition(":")
            if not colon:
                from etcdpy.cli.etcdctl.password import ask

                password = os.fsdecode(ask("Password: "))
        # With half of what it takes etcd's client does not try: it calls as nobody.
        return (os.fsencode(user), os.fsencode(password)) if user and password else (b"", b"")

    def _reporter(self, endpoints: list[str], *, iso_time: bool) -> _Reporter:
        return _Reporter(self, endpoints[0], iso_time=iso_time)


class _Reporter:
    """Writes a line about every failed attempt, as the logger of etcd's client does."""

    def __init__(self, session: Session, endpoint: str, *, iso_time: bool) -> None:
        self._session = session
        self._endpoint = endpoint
        self._iso_time = iso_time

    def __call__(self, attempts: int, error: EtcdError) -> None:
        from etcdpy.cli.etcdctl.zap import log_line
        from etcdpy.client.endpoint import Endpoint
        from etcdpy.client.errors import rpc_text

        self._session.print_error(
            log_line(
                "warn",
                "retrying of unary invoker failed",
                logger="etcd-client" if self._iso_time else "client",
                caller="v3/retry_interceptor.go:62",
                fields={
                    "target": f"etcd-endpoints://{id(self):#x}/{Endpoint(self._endpoint).shown}",
                    "attempt": attempts,
                    "error": rpc_text(error),
                },
                iso_time=self._iso_time,
            )
        )
