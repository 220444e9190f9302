"""Random operations of several users, given to one server and written down: what it answered each of them.

The choices come from a seed, so two servers get the same. Tokens are the server's own: an operation names its user, and
the player shows the token that this user got last, which may be void by then.

Left out is what 3.5.1 decides otherwise than later versions, and thus than we do (tests/compat/test_auth_real.py has
the list): nested transactions of users, leases and prev_kv in their transactions, leases without a log-in, tokens while
authentication is off.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from etcdpy.base.errors import EtcdError
from etcdpy.pb import auth_pb2
from etcdpy.pb import rpc_pb2 as pb
from etcdpy.transport.grpc.blocking import BlockingChannel
from tests.compat.both import CALL_SECONDS, path_of

USERS: Final = (b"root", b"ann", b"bob", b"cy", b"no-password")
ROLES: Final = (b"root", b"r1", b"r2", b"r3")
KEYS: Final = (b"a", b"b", b"c", b"c\0", b"d", b"e")
ENDS: Final = (b"", b"", b"b", b"c", b"d", b"z", b"\0")
# Of whom nobody ever heard: shown by `stranger`.
WRONG_TOKEN: Final = b"abcdefghijklmnop.1"
WATCH_SECONDS: Final = 20.0


class Step(NamedTuple):
    """One request; `user` is b"" for nobody, b"stranger" for a wrong token."""

    user: bytes
    method: str
    request: Any


class Seen(NamedTuple):
    code: int
    text: str
    answer: bytes


class Player:
    """Remembers the tokens that one server gave."""

    def __init__(self, endpoint: str) -> None:
        self.channel = BlockingChannel(endpoint)
        self.tokens: dict[bytes, bytes] = {b"stranger": WRONG_TOKEN}
        self.is_simple = True  # tokens are letters and an index

    def close(self) -> None:
        self.channel.close()

    def metadata(self, user: bytes) -> tuple[tuple[bytes, bytes], ...]:
        token = self.tokens.get(user)
        return ((b"token", token),) if token else ()

    def play(self, step: Step) -> Seen:
        if step.method == "Watch/Watch":
            return self._watch(step)
        path, metadata = path_of(step.method), self.metadata(step.user)
        try:
            answer = self.channel.unary(path, step.request.SerializeToString(), CALL_SECONDS, metadata)
        except EtcdError as error:
            return Seen(error.code, error.text, b"")
        if step.method == "Auth/Authenticate":
            answer = self._take_token(step.request.name, answer)
        return Seen(0, "", answer)

    def _take_token(self, user: bytes, answer: bytes) -> bytes:
        """Keep the token; return the answer with only the index of it, for the letters are random."""
        response = pb.AuthenticateResponse.FromString(answer)
        token = response.token
        self.tokens[user] = token
        if not self.is_simple:
            return b""
        letters, _, index = token.partition(b".")
        assert len(letters) == 16 and letters.isalpha()
        response.token = index
        return response.SerializeToString()

    def _watch(self, step: Step) -> Seen:
        """Return the first response, without what 3.5.1 does its own way: the id of a refused one, and the reason."""
        call = self.channel.stream(path_of(step.method), self.metadata(step.user))
        call.write(pb.WatchRequest(create_request=step.request).SerializeToString())
        message = call.read(WATCH_SECONDS)
        call.cancel()
        assert message is not None
        response = pb.WatchResponse.FromString(message)
        response.ClearField("watch_id")
        if response.canceled:
            assert response.cancel_reason.startswith("rpc error: code = "), response
            response.cancel_reason = "refused"
        return Seen(0, "", response.SerializeToString())

    def log_in(self, user: bytes, password: bytes = b"") -> None:
        seen = self.play(Step(b"", "Auth/Authenticate", pb.AuthenticateRequest(name=user, password=password or user)))
        assert seen.code == 0, seen


def permission(rng: random.Random) -> auth_pb2.Permission:
    key, end = rng.choice(KEYS), rng.choice(ENDS)
    if end not in (b"", b"\0") and end <= key:
        end = b""
    kind = rng.choice((auth_pb2.Permission.READ, auth_pb2.Permission.WRITE, auth_pb2.Permission.READWRITE))
    return auth_pb2.Permission(permType=kind, key=key, range_end=end)


def generate(seed: int, count: int) -> list[Step]:
    return list(_Generator(seed).steps(count))


class _Generator:
    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._is_on = False

    def steps(self, count: int) -> list[Step]:
        steps = self._beginning()
        while len(steps) < count:
            if self._rng.random() < 0.01:
                steps += self._switch()
            elif self._rng.random() < 0.2:
                steps.append(self._log_in())
            else:
                steps.append(self._anything())
        return steps

    def _beginning(self) -> list[Step]:
        add = [Step(b"", "Auth/UserAdd", pb.AuthUserAddRequest(name=user, password=user)) for user in USERS[:4]]
        add.append(
            Step(
                b"",
                "Auth/UserAdd",
                pb.AuthUserAddRequest(name=USERS[4], options=auth_pb2.UserAddOptions(no_password=True)),
            )
        )
        add += [Step(b"", "Auth/RoleAdd", pb.AuthRoleAddRequest(name=role)) for role in ROLES]
        return [*add, *self._switch()]

    def _switch(self) -> list[Step]:
        if self._is_on:
            self._is_on = False
            return [self._log_in(b"root"), Step(b"root", "Auth/AuthDisable", pb.AuthDisableRequest())]
        self._is_on = True
        root = Step(b"", "Auth/UserAdd", pb.AuthUserAddRequest(name=b"root", password=b"root"))
        grant = Step(b"", "Auth/UserGrantRole", pb.AuthUserGrantRoleRequest(user=b"root", role=b"root"))
        on = Step(b"", "Auth/AuthEnable", pb.AuthEnableRequest())
        return [root, grant, on, *(self._log_in(user) for user in USERS)]

    def _log_in(self, user: bytes | None = None) -> Step:
        """For a given user with the right password, otherwise mostly."""
        is_right = user is not None or self._rng.random() < 0.9
        user = user or self._rng.choice((*USERS, b"nobody", b""))
        password = user if is_right else b"wrong"
        return Step(b"", "Auth/Authenticate", pb.AuthenticateRequest(name=user, password=password))

    def _anything(self) -> Step:
        rng = self._rng
        if not self._is_on:
            user = b""
        else:
            user = rng.choice((b"root", b"root", b"ann", b"bob", b"cy", b"cy", b"", b"stranger"))
        if rng.random() < 0.35:
            return self._manage(rng.choice((b"root", user)) if self._is_on else b"")
        return self._use(user)

    def _manage(self, user: bytes) -> Step:
        rng = self._rng
        name, role = rng.choice((*USERS[1:], b"new")), rng.choice((*ROLES, b"r4"))
        some = rng.choice((name, name, b"root", b""))
        chosen = permission(rng)
        choices: tuple[tuple[str, Any], ...] = (
            ("UserAdd", pb.AuthUserAddRequest(name=some, password=some)),
            ("UserDelete", pb.AuthUserDeleteRequest(name=rng.choice((b"new", b"new", b"cy", b"root")))),
            ("UserGet", pb.AuthUserGetRequest(name=some)),
            ("UserList", pb.AuthUserListRequest()),
            ("UserChangePassword", pb.AuthUserChangePasswordRequest(name=name, password=name)),
            ("UserGrantRole", pb.AuthUserGrantRoleRequest(user=name, role=role)),
            ("UserGrantRole", pb.AuthUserGrantRoleRequest(user=name, role=role)),
            ("UserRevokeRole", pb.AuthUserRevokeRoleRequest(name=some, role=role)),
            ("RoleAdd", pb.AuthRoleAddRequest(name=rng.choice((role, b"")))),
            ("RoleGet", pb.AuthRoleGetRequest(role=role)),
            ("RoleList", pb.AuthRoleListRequest()),
            ("RoleDelete", pb.AuthRoleDeleteRequest(role=rng.choice((b"r3", b"r4", b"root")))),
            ("RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=role, perm=chosen)),
            ("RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=role, perm=chosen)),
            ("RoleGrantPermission", pb.AuthRoleGrantPermissionRequest(name=role, perm=chosen)),
            (
                "RoleRevokePermission",
                pb.AuthRoleRevokePermissionRequest(role=role, key=chosen.key, range_end=chosen.range_end),
            ),
            ("AuthStatus", pb.AuthStatusRequest()),
        )
        method, request = rng.choice(choices)
        return Step(user, f"Auth/{method}", request)

    def _use(self, user: bytes) -> Step:
        choose: Callable[[bytes], Step] = self._rng.choice((self._kv, self._kv, self._txn, self._lease, self._watch))
        return choose(user)

    def _kv(self, user: bytes) -> Step:
        rng = self._rng
        key, end = rng.choice((*KEYS, b"")) if rng.random() < 0.1 else rng.choice(KEYS), rng.choice(ENDS)
        choices: tuple[tuple[str, Any], ...] = (
            ("Range", pb.RangeRequest(key=key, range_end=end, serializable=rng.random() < 0.5)),
            ("Put", pb.PutRequest(key=key, value=b"v", prev_kv=rng.random() < 0.3, lease=rng.choice((0, 0, 1, 2, 9)))),
            ("Put", pb.PutRequest(key=key, ignore_value=rng.random() < 0.5, ignore_lease=rng.random() < 0.5)),
            ("DeleteRange", pb.DeleteRangeRequest(key=key, range_end=end, prev_kv=rng.random() < 0.3)),
        )
        method, request = rng.choice(choices)
        return Step(user, f"KV/{method}", request)

    def _txn(self, user: bytes) -> Step:
        request = self._make_txn(is_root=user == b"root")
        return Step(user, "KV/Txn", request)

    def _make_txn(self, *, is_root: bool, depth: int = 0) -> pb.TxnRequest:
        rng = self._rng
        request = pb.TxnRequest()
        if rng.random() < 0.5:
            request.compare.add(key=rng.choice(KEYS), range_end=rng.choice(ENDS), target=pb.Compare.VERSION, version=0)
        for branch in (request.success, request.failure):
            for key in rng.sample(KEYS, rng.randrange(3)):
                self._add_op(branch.add(), key, is_root=is_root, depth=depth)
        return request

    def _add_op(self, op: pb.RequestOp, key: bytes, *, is_root: bool, depth: int) -> None:
        kind = self._rng.randrange(4 if is_root and depth < 2 else 3)
        if kind == 0:
            op.request_put.key = key
            op.request_put.prev_kv = is_root
        elif kind == 1:
            op.request_range.key = key
            op.request_range.range_end = self._rng.choice(ENDS)
        elif kind == 2:
            op.request_delete_range.key = key
            op.request_delete_range.prev_kv = self._rng.random() < 0.3
        else:
            op.request_txn = self._make_txn(is_root=True, depth=depth + 1).SerializeToString()

    def _lease(self, user: bytes) -> Step:
        """With a log-in only."""
        rng, lease_id = self._rng, self._rng.choice((1, 2, 3))
        if self._is_on and user in (b"", b"stranger"):
            return self._kv(user)
        choices: tuple[tuple[str, Any], ...] = (
            ("LeaseGrant", pb.LeaseGrantRequest(ID=lease_id, TTL=6000)),
            ("LeaseGrant", pb.LeaseGrantRequest(ID=lease_id, TTL=6000)),
            ("LeaseRevoke", pb.LeaseRevokeRequest(ID=lease_id)),
        )
        method, request = rng.choice(choices)
        return Step(user, f"Lease/{method}", request)

    def _watch(self, user: bytes) -> Step:
        """With a log-in only: 3.5.1 gives one reason for everything."""
        if self._is_on and user in (b"", b"stranger"):
            return self._kv(user)
        key, end = self._rng.choice(KEYS), self._rng.choice((b"", b"", b"z", b"\0"))
        return Step(user, "Watch/Watch", pb.WatchCreateRequest(key=key, range_end=end))
