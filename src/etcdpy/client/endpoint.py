"""An endpoint as users write it: `host:port`, `http://host:port`, `https://host:port`, `unix:///path`, `unixs://path`.

The scheme decides about TLS: http and unix never use it, https and unixs always do, a bare `host:port` uses it when the
client was given a TLS configuration.
"""

from __future__ import annotations

from typing import Final

TLS_NEVER: Final = 0
TLS_IF_CONFIGURED: Final = 1
TLS_ALWAYS: Final = 2

_TLS_OF_SCHEME: Final = {"http": TLS_NEVER, "https": TLS_ALWAYS, "unix": TLS_NEVER, "unixs": TLS_ALWAYS}


class Endpoint:
    """One server to dial. `address` is what the transport takes, `shown` what log lines and dial errors name."""

    __slots__ = ("text", "address", "shown", "network", "tls")

    def __init__(self, text: str) -> None:
        self.text = text
        scheme, separator, rest = text.partition("://")
        if not separator and text.startswith(("unix:", "unixs:")):
            scheme, _, rest = text.partition(":")
        elif not separator:
            scheme, rest = "", text
        self.tls = _TLS_OF_SCHEME.get(scheme, TLS_IF_CONFIGURED)
        self.network = "unix" if scheme in ("unix", "unixs") else "tcp"
        self.shown = rest if self.network == "unix" else rest.partition("/")[0]
        self.address = "unix:" + rest if self.network == "unix" else self.shown

    def uses_tls(self, configured: bool) -> bool:
        return self.tls == TLS_ALWAYS or (self.tls == TLS_IF_CONFIGURED and configured)
