"""The Cluster service: who belongs to it, and changes of that. Source: etcdserverpb.Cluster.

No answer carries a revision (facts 1.4). The members in it are those right after the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from etcdpy.api.v3.dispatch import Dispatcher, unary
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.base.errors import MemberBadURLs
from etcdpy.pb import rpc_pb2
from etcdpy.server.reconfiguration import Reconfiguration
from etcdpy.server.service import Service
from etcdpy.state.members import Member, Roster
from etcdpy.transport.grpc.call import Call

# Returns URLs of a member as they are kept, sorted. Raise ValueError where one is none.
ReadUrls = Callable[[Sequence[str]], Sequence[str]]


class ClusterApi:
    """Handlers of MemberAdd, MemberRemove, MemberUpdate, MemberPromote and MemberList."""

    def __init__(
        self,
        service: Service,
        dispatcher: Dispatcher,
        header: HeaderEncoder,
        roster: Roster,
        reconfiguration: Reconfiguration,
        read_urls: ReadUrls,
    ) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._header = header
        self._roster = roster
        self._reconfiguration = reconfiguration
        self._read_urls = read_urls
        self.member_add = unary(rpc_pb2.MemberAddRequest.FromString, self._member_add)
        self.member_remove = unary(rpc_pb2.MemberRemoveRequest.FromString, self._member_remove)
        self.member_update = unary(rpc_pb2.MemberUpdateRequest.FromString, self._member_update)
        self.member_promote = unary(rpc_pb2.MemberPromoteRequest.FromString, self._member_promote)
        self.member_list = unary(rpc_pb2.MemberListRequest.FromString, self._member_list)

    # -- changes

    def _member_add(self, call: Call, request: rpc_pb2.MemberAddRequest) -> None:
        urls = self._checked_urls(request.peerURLs)
        self._dispatcher.answer_later(call, self._add(urls, is_learner=request.isLearner))

    async def _add(self, urls: Sequence[str], *, is_learner: bool) -> bytes:
        newcomer, members = await self._reconfiguration.add_member(urls, is_learner=is_learner)
        response = rpc_pb2.MemberAddResponse(member=_encode(newcomer), members=map(_encode, members))
        return self._header.encode_without_revision() + response.SerializeToString()

    def _member_remove(self, call: Call, request: rpc_pb2.MemberRemoveRequest) -> None:
        self._dispatcher.answer_later(call, self._remove(request.ID))

    async def _remove(self, member_id: int) -> bytes:
        members = await self._reconfiguration.remove_member(member_id)
        return self._answer(rpc_pb2.MemberRemoveResponse(members=map(_encode, members)))

    def _member_update(self, call: Call, request: rpc_pb2.MemberUpdateRequest) -> None:
        """Upstream looks at these URLs only when all members have them already, and then panics on bad ones."""
        self._checked_urls(request.peerURLs)
        self._dispatcher.answer_later(call, self._update(request.ID, list(request.peerURLs)))

    async def _update(self, member_id: int, urls: Sequence[str]) -> bytes:
        members = await self._reconfiguration.update_member(member_id, urls)
        return self._answer(rpc_pb2.MemberUpdateResponse(members=map(_encode, members)))

    def _member_promote(self, call: Call, request: rpc_pb2.MemberPromoteRequest) -> None:
        self._dispatcher.answer_later(call, self._promote(request.ID))

    async def _promote(self, member_id: int) -> bytes:
        members = await self._reconfiguration.promote_member(member_id)
        return self._answer(rpc_pb2.MemberPromoteResponse(members=map(_encode, members)))

    def _checked_urls(self, urls: Iterable[str]) -> Sequence[str]:
        try:
            return self._read_urls(list(urls))
        except ValueError:
            raise MemberBadURLs from None

    # -- the list

    def _member_list(self, call: Call, request: rpc_pb2.MemberListRequest) -> None:
        if request.linearizable:
            self._dispatcher.answer_later(call, self._list_linearizable())
        else:
            call.respond(self._list())

    async def _list_linearizable(self) -> bytes:
        await self._service.wait_linearizable()
        return self._list()

    def _list(self) -> bytes:
        return self._answer(rpc_pb2.MemberListResponse(members=map(_encode, self._roster.get_members())))

    def _answer(
        self,
        response: rpc_pb2.MemberRemoveResponse
        | rpc_pb2.MemberUpdateResponse
        | rpc_pb2.MemberPromoteResponse
        | rpc_pb2.MemberListResponse,
    ) -> bytes:
        return self._header.encode_without_revision() + response.SerializeToString()


def _encode(member: Member) -> rpc_pb2.Member:
    return rpc_pb2.Member(
        ID=member.id,
        name=member.name,
        peerURLs=member.peer_urls,
        clientURLs=member.client_urls,
        isLearner=member.is_learner,
    )
