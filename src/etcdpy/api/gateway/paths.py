"""Which RPC stands behind which path of the JSON gateway (facts 1.2). All are POST."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import FileDescriptor

from etcdpy.api.gateway.schema import Message, schema_of
from etcdpy.pb import rpc_pb2, v3election_pb2, v3lock_pb2

PREFIX: Final = "/v3/"
# The name of the API before 3.4; rewritten, as etcd does.
BETA_PREFIX: Final = "/v3beta/"

# Where the path is not the service's name with the method's in lower case: the methods of a service and their paths.
_SERVICES: Final = {
    "KV": {
        "Range": ["kv/range"],
        "Put": ["kv/put"],
        "DeleteRange": ["kv/deleterange"],
        "Txn": ["kv/txn"],
        "Compact": ["kv/compaction"],
    },
    "Watch": {"Watch": ["watch"]},
    "Lease": {
        "LeaseGrant": ["lease/grant"],
        "LeaseRevoke": ["lease/revoke", "kv/lease/revoke"],
        "LeaseKeepAlive": ["lease/keepalive"],
        "LeaseTimeToLive": ["lease/timetolive", "kv/lease/timetolive"],
        "LeaseLeases": ["lease/leases", "kv/lease/leases"],
    },
    "Cluster": {
        "MemberAdd": ["cluster/member/add"],
        "MemberRemove": ["cluster/member/remove"],
        "MemberUpdate": ["cluster/member/update"],
        "MemberList": ["cluster/member/list"],
        "MemberPromote": ["cluster/member/promote"],
    },
    "Maintenance": {
        "Alarm": ["maintenance/alarm"],
        "Status": ["maintenance/status"],
        "Defragment": ["maintenance/defragment"],
        "Hash": ["maintenance/hash"],
        "HashKV": ["maintenance/hashkv"],
        "Snapshot": ["maintenance/snapshot"],
        "MoveLeader": ["maintenance/transfer-leadership"],
        "Downgrade": ["maintenance/downgrade"],
    },
    "Auth": {
        "AuthEnable": ["auth/enable"],
        "AuthDisable": ["auth/disable"],
        "AuthStatus": ["auth/status"],
        "Authenticate": ["auth/authenticate"],
        "UserAdd": ["auth/user/add"],
        "UserGet": ["auth/user/get"],
        "UserList": ["auth/user/list"],
        "UserDelete": ["auth/user/delete"],
        "UserChangePassword": ["auth/user/changepw"],
        "UserGrantRole": ["auth/user/grant"],
        "UserRevokeRole": ["auth/user/revoke"],
        "RoleAdd": ["auth/role/add"],
        "RoleGet": ["auth/role/get"],
        "RoleList": ["auth/role/list"],
        "RoleDelete": ["auth/role/delete"],
        "RoleGrantPermission": ["auth/role/grant"],
        "RoleRevokePermission": ["auth/role/revoke"],
    },
    "Lock": {"Lock": ["lock/lock"], "Unlock": ["lock/unlock"]},
    "Election": {
        "Campaign": ["election/campaign"],
        "Proclaim": ["election/proclaim"],
        "Leader": ["election/leader"],
        "Observe": ["election/observe"],
        "Resign": ["election/resign"],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One method, as the gateway calls it."""

    path: bytes
    request: Message
    response: Message
    takes_stream: bool
    gives_stream: bool


def find_rpc(path: str) -> Rpc | None:
    """Return the method behind the path of a request, or None."""
    if path.startswith(BETA_PREFIX):
        path = PREFIX + path[len(BETA_PREFIX) :]
    return _RPCS.get(path)


def is_gateway_path(path: str) -> bool:
    return path.startswith((PREFIX, BETA_PREFIX))


def all_paths() -> list[str]:
    return sorted(_RPCS)


def _rpcs_of(file: FileDescriptor, package: str) -> dict[str, Rpc]:
    rpcs = {}
    for name, service in file.services_by_name.items():
        for method_name, paths in _SERVICES[name].items():
            method = service.methods_by_name[method_name]
            rpc = Rpc(
                path=f"/{package}.{name}/{method_name}".encode(),
                request=schema_of(method.input_type),
                response=schema_of(method.output_type),
                takes_stream=method.client_streaming,
                gives_stream=method.server_streaming,
            )
            rpcs.update({PREFIX + path: rpc for path in paths})
    return rpcs


_RPCS: Final = {
    **_rpcs_of(rpc_pb2.DESCRIPTOR, "etcdserverpb"),
    **_rpcs_of(v3lock_pb2.DESCRIPTOR, "v3lockpb"),
    **_rpcs_of(v3election_pb2.DESCRIPTOR, "v3electionpb"),
}
