"""Who calls: from the metadata of a call, or from the certificate of its connection, to a user.

    metadata `token`, else `authorization`, perhaps with `Bearer `  ->  the user it was made for, or an impostor
    neither of them                                                 ->  the certificate's common name, or nobody

A certificate counts only without a token, and never for what comes through the JSON gateway, which calls with its own
(CVE-2018-16886).

Upstream: authStore.AuthInfoFromCtx.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from etcdpy.base.log import log_warn
from etcdpy.state.apply.caller import IMPOSTOR, NOBODY, Caller
from etcdpy.state.auth import AuthStore
from etcdpy.transport.grpc.call import Call

# Returns the common name in the verified certificate of a call's connection, if such names count; else None.
CommonName = Callable[[Call], bytes | None]


def no_common_name(call: Call) -> bytes | None:
    """Where clients show no certificates."""
    return None


class Identity:
    """Finds out who calls, while authentication is on."""

    def __init__(self, auth: AuthStore, log: logging.Logger, common_name: CommonName = no_common_name) -> None:
        self._auth = auth
        self._log = log
        self._common_name = common_name

    def identify(self, call: Call) -> Caller:
        """Return the caller as of the current revision."""
        caller = self.find(call)
        return self.tell_impostor(call) if caller is None else caller

    def find(self, call: Call) -> Caller | None:
        """Return the caller as of the current revision; None for a token that is none, or not yet (pending_index)."""
        token = token_of(call)
        return self._by_certificate(call) if token is None else self._auth.tokens.find(token, self._auth.revision)

    def tell_impostor(self, call: Call) -> Caller:
        """Log that a call's token is none, and return who makes such calls."""
        # Not the token itself: it is as good as a password.
        fingerprint = hashlib.sha256(token_of(call) or b"").hexdigest()[:12]
        log_warn(self._log, "invalid auth token", token_fingerprint=fingerprint)
        return IMPOSTOR

    def pending_index(self, call: Call) -> int:
        """Return what must be applied before a token counts as none; 0: nothing."""
        token = token_of(call)
        return 0 if token is None else self._auth.tokens.pending_index(token)

    def _by_certificate(self, call: Call) -> Caller:
        name = self._common_name(call)
        if name is None or call.metadata(b"grpcgateway-accept") is not None:
            return NOBODY
        return Caller(name, self._auth.revision)


def token_of(call: Call) -> bytes | None:
    token = call.metadata(b"token")
    if token is None:
        token = call.metadata(b"authorization")
    return None if token is None else token.removeprefix(b"Bearer ")
