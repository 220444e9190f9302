"""The same calls as elsewhere, over TLS and by a user with a token.

    OverTls         certificates made for this measurement, the same files for both contenders
    WithTokens      two fresh members in turn, one open and one where only a user with a token may: what that costs

The user is no root: a role grants the range of the one key. The certificate and the keys of tokens are made anew each
time; the key of JSON Web Tokens has 2,048 bits, which is what etcd's documentation uses.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks import messages
from benchmarks.access import OPEN, Access
from benchmarks.member import Contender, Member, running_member
from benchmarks.requests import H2loadReads, H2loadWrites
from benchmarks.scenario import CHECK_SECONDS_MAX, Row, Sample, Workbench, asking
from etcdpy.pb import auth_pb2, rpc_pb2
from tests.certificates import Authority

ROOT: Final = b"root"
USER: Final = b"bench"
PASSWORD: Final = b"no secret"
RSA_BITS: Final = 2048
RSA_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTls:
    """Calls by https."""

    calls: H2loadWrites | H2loadReads
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.calls.rows

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        with bench.fresh_folder() as folder, running_member(contender, folder, over_tls(folder)) as member:
            return self.calls.measure_on(bench, member)


def over_tls(folder: Path) -> Access:
    """Make an authority and a certificate of the server in `folder`."""
    authority = Authority(folder, "ca")
    return Access(flags=tuple(authority.issue("server").flags()), authority=authority.cert)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithTokens:
    """Calls by a user, and how many of those without are left."""

    calls: H2loadWrites
    share: Row
    is_jwt: bool
    rounds_max: None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return (*self.calls.rows, self.share)

    def measure(self, bench: Workbench, contender: Contender) -> dict[str, Sample]:
        name = self.calls.row.name
        with bench.fresh_member(contender) as member:
            without = self.calls.measure_on(bench, member)[name]
        with bench.fresh_folder() as folder:
            access = with_jwt(folder) if self.is_jwt else OPEN
            with running_member(contender, folder, access) as member:
                log_in(member)
                sample = self.calls.measure_on(bench, member)[name]
        return {name: sample, self.share.name: Sample(value=sample.value / without.value)}


def with_jwt(folder: Path) -> Access:
    """Make the keys in `folder`."""
    key = rsa.generate_private_key(RSA_EXPONENT, RSA_BITS)
    private, public = folder / "private.pem", folder / "public.pem"
    pem = serialization.Encoding.PEM
    private.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return Access(flags=(f"--auth-token=jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=1h",))


def log_in(member: Member) -> None:
    """Turn authentication on; from here on the member is asked by a user who may read and write the one key."""
    permission = auth_pb2.Permission(permType=auth_pb2.Permission.READWRITE, key=messages.KEY)
    with asking(member) as channel:
        for path, request in (
            (b"UserAdd", rpc_pb2.AuthUserAddRequest(name=ROOT, password=PASSWORD)),
            (b"UserGrantRole", rpc_pb2.AuthUserGrantRoleRequest(user=ROOT, role=ROOT)),
            (b"UserAdd", rpc_pb2.AuthUserAddRequest(name=USER, password=PASSWORD)),
            (b"RoleAdd", rpc_pb2.AuthRoleAddRequest(name=USER)),
            (b"RoleGrantPermission", rpc_pb2.AuthRoleGrantPermissionRequest(name=USER, perm=permission)),
            (b"UserGrantRole", rpc_pb2.AuthUserGrantRoleRequest(user=USER, role=USER)),
            (b"AuthEnable", rpc_pb2.AuthEnableRequest()),
        ):
            channel.unary(messages.AUTH_PATH + path, request.SerializeToString(), CHECK_SECONDS_MAX)
        login = rpc_pb2.AuthenticateRequest(name=USER, password=PASSWORD)
        answer = channel.unary(messages.AUTH_PATH + b"Authenticate", login.SerializeToString(), CHECK_SECONDS_MAX)
    token = rpc_pb2.AuthenticateResponse.FromString(answer).token
    member.access = dataclasses.replace(member.access, token=token)
