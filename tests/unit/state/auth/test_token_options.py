"""--auth-token. The texts are those of the real etcd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from etcdpy.base.log import silent_logger
from etcdpy.state.auth.jwt_tokens import JwtTokens, VerifyOnly
from etcdpy.state.auth.token_options import TokenOptionsError, make_tokens
from etcdpy.state.auth.tokens import NoTokens, SimpleTokens, Tokens

INVALID = "auth: invalid auth options"
NO_PEM = "Invalid Key: Key must be a PEM encoded PKCS1 or PKCS8 key"


def make(text: str) -> Tokens:
    return make_tokens(text, ttl_seconds=300, clock=lambda: 0.0, log=silent_logger(), wall_seconds=lambda: 4e9)


def write_keys(folder: Path, key: Any, name: str) -> tuple[Path, Path]:
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_simple_and_none() -> None:
    assert isinstance(make("simple"), SimpleTokens)
    assert isinstance(make("simple,what=ever"), SimpleTokens)
    assert isinstance(make(""), NoTokens)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("jwt", INVALID),
        ("jwt,a", INVALID),
        ("jwt,ttl=1m,ttl=2m", INVALID),
        ("jwt,sign-method=RS257", INVALID),
        ("jwt,sign-method=EdDSA", INVALID),
        ("jwt,sign-method=HS256,ttl=soon", INVALID),
        ("jwt,sign-method=RS256,priv-key=/nowhere", INVALID),
        ("other", INVALID),
        ("jwt,sign-method=RS256", "auth: missing key data"),
        ("jwt,sign-method=HS256", "auth: missing key data"),
        ("jwt,sign-method=none", "unsupported signing method: *jwt.signingMethodNone"),
    ],
)
def test_what_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(TokenOptionsError) as caught:
        make(text)
    assert str(caught.value) == refusal


def test_keys_that_are_none(tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_text("no key")
    for options in (f"RS256,priv-key={noise}", f"ES256,pub-key={noise}"):
        with pytest.raises(TokenOptionsError) as caught:
            make(f"jwt,sign-method={options}")
        assert str(caught.value) == NO_PEM


@pytest.mark.parametrize("method", ["RS256", "PS384", "ES256", "HS512"])
def test_tokens_of_each_family(tmp_path: Path, method: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if method == "ES256" else rsa.generate_private_key(65537, 2048)
    private, public = write_keys(tmp_path, key, "one")
    if method == "HS512":
        private.write_bytes(b"a secret of some length, so that nobody can guess it and nobody complains about it.")
        public = private
    signer, verifier = (
        make(f"jwt,sign-method={method},priv-key={private}"),
        make(f"jwt,sign-method={method},priv-key={private},pub-key={public}"),
    )
    assert isinstance(signer, JwtTokens)
    caller = verifier.find(signer.assign(b"u", 5, b"", 1), 9)

    assert caller is not None and (caller.username, caller.revision) == (b"u", 5)


def test_with_a_public_key_one_can_only_verify(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path, rsa.generate_private_key(65537, 2048), "one")
    other, _ = write_keys(tmp_path, rsa.generate_private_key(65537, 2048), "other")
    verifier = make(f"jwt,sign-method=RS256,pub-key={public}")

    assert verifier.find(make(f"jwt,sign-method=RS256,priv-key={private}").assign(b"u", 5, b"", 1), 5) is not None
    assert verifier.find(make(f"jwt,sign-method=RS256,priv-key={other}").assign(b"u", 5, b"", 1), 5) is None
    with pytest.raises(VerifyOnly):
        verifier.assign(b"u", 5, b"", 1)
    with pytest.raises(TokenOptionsError, match="public and private keys don't match"):
        make(f"jwt,sign-method=RS256,pub-key={public},priv-key={other}")
    with pytest.raises(TokenOptionsError, match="not a valid ECDSA"):
        make(f"jwt,sign-method=ES256,pub-key={public}")
