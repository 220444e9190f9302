"""The KV service: validate, hand to the service, nothing else.

Source: etcdserverpb.KV; checks as in upstream's api/v3rpc/key.go.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from etcdpy.api.v3.dispatch import Dispatcher, caller_of, refuse
from etcdpy.api.v3.header import HeaderEncoder
from etcdpy.base.errors import EtcdError
from etcdpy.pb import rpc_pb2
from etcdpy.server.compactions import CompactionRunner
from etcdpy.server.service import Service
from etcdpy.state.apply import proposal as kinds
from etcdpy.state.apply.caller import Caller
from etcdpy.state.mvcc.txn import is_txn_readonly, is_txn_serializable
from etcdpy.state.mvcc.validate import (
    check_delete_request,
    check_put_request,
    check_range_request,
    check_txn_request,
)
from etcdpy.transport.grpc.call import Call

_parse_put = rpc_pb2.PutRequest.FromString
_parse_range = rpc_pb2.RangeRequest.FromString
_parse_delete = rpc_pb2.DeleteRangeRequest.FromString
_parse_txn = rpc_pb2.TxnRequest.FromString
_parse_compaction = rpc_pb2.CompactionRequest.FromString


class KvApi:
    """Handlers of etcdserverpb.KV. Hot: no task, no future and no wrapper per call."""

    def __init__(
        self,
        service: Service,
        dispatcher: Dispatcher,
        header: HeaderEncoder,
        compactions: CompactionRunner,
        *,
        txn_ops_max: int,
    ) -> None:
        self._service = service
        self._dispatcher = dispatcher
        self._header = header
        self._compactions = compactions
        self._txn_ops_max = txn_ops_max

    def put(self, call: Call) -> None:
        try:
            body = call.message
            request = _parse_put(body)
            check_put_request(request)
            self._dispatcher.propose(call, kinds.PUT, request, body)
        except (EtcdError, DecodeError) as error:
            refuse(call, error)

    def range(self, call: Call) -> None:
        try:
            request = _parse_range(call.message)
            check_range_request(request)
            self._service.submit_range(self._dispatcher.take_ticket(call), request, caller_of(call))
        except (EtcdError, DecodeError) as error:
            refuse(call, error)

    def delete_range(self, call: Call) -> None:
        try:
            body = call.message
            request = _parse_delete(body)
            check_delete_request(request)
            self._dispatcher.propose(call, kinds.DELETE_RANGE, request, body)
        except (EtcdError, DecodeError) as error:
            refuse(call, error)

    def txn(self, call: Call) -> None:
        try:
            body = call.message
            request = _parse_txn(body)
            plan = check_txn_request(request, self._txn_ops_max)
            if is_txn_readonly(plan):
                ticket = self._dispatcher.take_ticket(call)
                serializable = is_txn_serializable(plan)
                self._service.submit_readonly_txn(ticket, plan, serializable=serializable, caller=caller_of(call))
            else:
                self._dispatcher.propose(call, kinds.TXN, plan, body)
        except (EtcdError, DecodeError) as error:
            refuse(call, error)

    async def _compact_physically(self, request: rpc_pb2.CompactionRequest, caller: Caller | None) -> bytes:
        answer = await self._service.call(kinds.COMPACTION, request, caller)
        await self._compactions.wait_finished()
        return self._header.complete(answer)

    def compact(self, call: Call) -> None:
        try:
            body = call.message
            request = _parse_compaction(body)
            if request.physical:
                self._dispatcher.answer_later(call, self._compact_physically(request, caller_of(call)))
            else:
                self._dispatcher.propose(call, kinds.COMPACTION, request, body)
        except (EtcdError, DecodeError) as error:
            refuse(call, error)
