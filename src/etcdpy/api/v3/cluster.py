"""The Cluster service: who belongs to it. Source: etcdserverpb.Cluster."""

from __future__ import annotations

from etcdpy.api.v3.dispatch import Dispatcher, unary
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.pb import rpc_pb2
from etcdpy.server.service import Service
from etcdpy.state.members import Roster
from etcdpy.transport.grpc.call import Call


class ClusterApi:
    """Handler of MemberList. Its answer carries no revision (facts 1.4)."""

    def __init__(self, service: Service, dispatcher: Dispatcher, header: HeaderEncoder, roster: Roster) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._header = header
        self._roster = roster
        self.member_list = unary(rpc_pb2.MemberListRequest.FromString, self._member_list)

    def _member_list(self, call: Call, request: rpc_pb2.MemberListRequest) -> None:
        if request.linearizable:
            self._dispatcher.answer_later(call, self._list_linearizable())
        else:
            call.respond(self._list())

    async def _list_linearizable(self) -> bytes:
        await self._service.wait_linearizable()
        return self._list()

    def _list(self) -> bytes:
        response = rpc_pb2.MemberListResponse()
        for member in self._roster.get_members():
            response.members.add(
                ID=member.id,
                name=member.name,
                peerURLs=member.peer_urls,
                clientURLs=member.client_urls,
                isLearner=member.is_learner,
            )
        return self._header.encode_without_revision() + response.SerializeToString()
