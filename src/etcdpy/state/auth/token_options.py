"""--auth-token: which kind of token, and its options.

    simple
    jwt,sign-method=RS256,pub-key=<file>,priv-key=<file>,ttl=10m

Texts of errors are etcd's. Upstream: server/auth/options.go, auth.NewTokenProvider.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from etcdpy.base.duration import DurationError, parse_nanoseconds
from etcdpy.base.log import log_error, log_warn
from etcdpy.state.auth.jwt_tokens import JwtTokens
from etcdpy.state.auth.tokens import NoTokens, SimpleTokens, Tokens

JWT_TTL_SECONDS_DEFAULT: Final = 300.0
FAMILIES: Final = ("HS", "RS", "PS", "ES")
METHODS: Final = frozenset(f"{family}{bits}" for family in FAMILIES for bits in (256, 384, 512))
# What Go's library knows and etcd has no keys for, with the name of its type.
UNSUPPORTED_METHODS: Final = {"none": "*jwt.signingMethodNone"}
KNOWN_OPTIONS: Final = frozenset({"sign-method", "pub-key", "priv-key", "ttl"})
INVALID_OPTIONS: Final = "auth: invalid auth options"
NO_PEM: Final = "Invalid Key: Key must be a PEM encoded PKCS1 or PKCS8 key"


class TokenOptionsError(Exception):
    """`str()` is what is wrong."""


def make_tokens(
    text: str,
    *,
    ttl_seconds: float,
    clock: Callable[[], float],
    log: logging.Logger,
    wall_seconds: Callable[[], float] = time.time,
) -> Tokens:
    """Return the tokens that --auth-token describes. Raise TokenOptionsError."""
    kind, options = _split(text, log)
    if kind == "simple":
        return SimpleTokens(clock=clock, choose=secrets.choice, ttl_seconds=ttl_seconds)
    if kind == "jwt":
        return _make_jwt(options, wall_seconds, log)
    if not kind:
        return NoTokens()
    log_warn(log, "unknown token type", type=kind, error=INVALID_OPTIONS)
    raise TokenOptionsError(INVALID_OPTIONS)


def _split(text: str, log: logging.Logger) -> tuple[str, dict[str, str]]:
    kind, *pairs = text.split(",")
    options: dict[str, str] = {}
    for pair in pairs:
        parts = pair.split("=")
        if len(parts) != 2 or parts[0] in options:
            log_error(log, "invalid token option", option=text)
            raise TokenOptionsError(INVALID_OPTIONS)
        options[parts[0]] = parts[1]
    return kind, options


def _make_jwt(options: dict[str, str], wall_seconds: Callable[[], float], log: logging.Logger) -> JwtTokens:
    try:
        ttl_seconds = _read_ttl(options.get("ttl", ""))
        public = _read_file(options.get("pub-key", ""))
        private = _read_file(options.get("priv-key", ""))
        method = options.get("sign-method", "")
        if method not in METHODS and method not in UNSUPPORTED_METHODS:
            raise TokenOptionsError("auth: invalid auth signature method")
    except (DurationError, OSError, TokenOptionsError) as error:
        log_error(log, "problem loading JWT options", error=str(error))
        raise TokenOptionsError(INVALID_OPTIONS) from None
    unknown = sorted(options.keys() - KNOWN_OPTIONS)
    if unknown:
        log_warn(log, "unknown JWT options", keys=unknown)
    if method in UNSUPPORTED_METHODS:
        raise TokenOptionsError(f"unsupported signing method: {UNSUPPORTED_METHODS[method]}")
    signing_key, verifying_key = _load_keys(method, private, public)
    return JwtTokens(
        algorithm=method,
        signing_key=signing_key,
        verifying_key=verifying_key,
        ttl_seconds=ttl_seconds,
        wall_seconds=wall_seconds,
        log=log,
    )


def _read_ttl(text: str) -> float:
    return parse_nanoseconds(text) / 1e9 if text else JWT_TTL_SECONDS_DEFAULT


def _read_file(path: str) -> bytes:
    return Path(path).read_bytes() if path else b""


def _load_keys(method: str, private: bytes, public: bytes) -> tuple[Any, Any]:
    """Return the keys to sign and to verify with; the first is None where there is but a public one."""
    if method.startswith("HS"):
        if not private:
            raise TokenOptionsError("auth: missing key data")
        return private, private
    if not (private or public):
        raise TokenOptionsError("auth: missing key data")
    is_elliptic = method.startswith("ES")
    signing_key = _load_private(private, is_elliptic=is_elliptic) if private else None
    verifying_key = _load_public(public, is_elliptic=is_elliptic) if public else None
    if signing_key is None:
        return None, verifying_key
    if verifying_key is not None and signing_key.public_key() != verifying_key:
        raise TokenOptionsError("auth: public and private keys don't match")
    return signing_key, signing_key.public_key()


def _load_private(pem: bytes, *, is_elliptic: bool) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise TokenOptionsError(NO_PEM) from error
    if not isinstance(key, EllipticCurvePrivateKey if is_elliptic else RSAPrivateKey):
        raise TokenOptionsError(f"key is not a valid {_family(is_elliptic=is_elliptic)} private key")
    return key


def _load_public(pem: bytes, *, is_elliptic: bool) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    try:
        is_certificate = b"BEGIN CERTIFICATE" in pem
        key = load_pem_x509_certificate(pem).public_key() if is_certificate else load_pem_public_key(pem)
    except ValueError as error:
        raise TokenOptionsError(NO_PEM) from error
    if not isinstance(key, EllipticCurvePublicKey if is_elliptic else RSAPublicKey):
        raise TokenOptionsError(f"key is not a valid {_family(is_elliptic=is_elliptic)} public key")
    return key


def _family(*, is_elliptic: bool) -> str:
    return "ECDSA" if is_elliptic else "RSA"
