"""What members ask each other of the cluster: promote a learner, hash the history, whether a downgrade is on.

    POST /members/promote/<decimal id>   members as JSON; 404 unknown, 412 no learner or too far behind, 408 timeout
    GET  /members/hashkv                 {"revision":N}  ->  {"header":{...},"hash":N,"compact_revision":N}
                                         400 compacted or future, 412 another cluster asks
    GET  /downgrade/enabled              true or false

Source: facts 4.2. Upstream: etcdserver/api/etcdhttp/peer.go, etcdserver/corrupt.go.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from etcdpy.api.ops.app import ANY_METHOD
from etcdpy.api.ops.bodies import read_body
from etcdpy.api.ops.peer_leases import MALFORMED_TEXT, READING_FAILED_TEXT
from etcdpy.api.ops.responses import METHOD_NOT_ALLOWED_TEXT, error_response, json_response, members_response, only_get
from etcdpy.base.errors import (
    Compacted,
    EtcdError,
    FutureRev,
    LearnerNotReady,
    MemberNotFound,
    MemberNotLearner,
    Timeout,
    TimeoutDueToConnectionLost,
    TimeoutDueToLeaderFail,
)
from etcdpy.base.ids import format_id
from etcdpy.base.log import log_warn
from etcdpy.state.mvcc.hash_kv import KvHash

CLUSTER_ID_HEADER: Final = "X-Etcd-Cluster-ID"
PROMOTE_PATH: Final = "/members/promote/"
CLUSTER_MISMATCH_TEXT: Final = "cluster ID mismatch"
# The peer port shows the errors of inner packages, whose words differ from those that clients see.
NOT_FOUND_TEXT: Final = "membership: ID not found"
NOT_LEARNER_TEXT: Final = "membership: can only promote a learner member"
COMPACTED_TEXT: Final = "mvcc: required revision has been compacted"
FUTURE_TEXT: Final = "mvcc: required revision is a future revision"
# Upstream's words and shape for what it has no status for.
INTERNAL_ERROR_BODY: Final = '{"message":"Internal Server Error"}'
INT64_MAX: Final = (1 << 63) - 1
UINT64_MAX: Final = (1 << 64) - 1

MemberRecords = Sequence[dict[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerQuestions:
    """What the routes ask of this member."""

    cluster_id: int
    member_id: int
    term: Callable[[], int]
    promote: Callable[[int], Awaitable[MemberRecords]]  # Raises EtcdError; the members afterwards, as JSON objects.
    hash_kv: Callable[[int], Awaitable[KvHash]]  # Raises EtcdError.
    is_downgrading: Callable[[], Awaitable[bool]]  # A linearizable read. Raises EtcdError.


def member_routes(questions: PeerQuestions, log: logging.Logger) -> list[BaseRoute]:
    endpoints = _Endpoints(questions, log)
    return [
        Route(PROMOTE_PATH.rstrip("/"), _redirect_to_promote, methods=ANY_METHOD),
        Route(PROMOTE_PATH + "{member_id:path}", endpoints.promote, methods=ANY_METHOD),
        Route("/members/hashkv", endpoints.hash_kv, methods=ANY_METHOD),
        Route("/downgrade/enabled", endpoints.downgrade_enabled, methods=ANY_METHOD),
    ]


class _Endpoints:
    def __init__(self, questions: PeerQuestions, log: logging.Logger) -> None:
        self._questions = questions
        self._log = log
        self._cluster = {CLUSTER_ID_HEADER: format_id(questions.cluster_id)}

    async def promote(self, request: Request) -> Response:
        if request.method != "POST":
            return error_response(METHOD_NOT_ALLOWED_TEXT, 405, {"Allow": "POST"})
        text = request.path_params["member_id"]
        member_id = _find_decimal(text)
        if member_id is None:
            return error_response(f"member {text} not found in cluster", 404, self._cluster)
        try:
            records = await self._questions.promote(member_id)
        except EtcdError as error:
            log_warn(self._log, "failed to promote a member", member_id=format_id(member_id), error=error.text)
            return self._refuse_promotion(error)
        return members_response(records, self._cluster[CLUSTER_ID_HEADER])

    def _refuse_promotion(self, error: EtcdError) -> Response:
        if isinstance(error, MemberNotFound):
            return error_response(NOT_FOUND_TEXT, 404, self._cluster)
        if isinstance(error, MemberNotLearner):
            return error_response(NOT_LEARNER_TEXT, 412, self._cluster)
        if isinstance(error, LearnerNotReady):
            return error_response(error.text, 412, self._cluster)
        if isinstance(error, Timeout | TimeoutDueToLeaderFail | TimeoutDueToConnectionLost):
            return error_response(error.text, 408, self._cluster)
        return Response(
            INTERNAL_ERROR_BODY, status_code=500, headers={"Content-Type": "application/json", **self._cluster}
        )

    async def hash_kv(self, request: Request) -> Response:
        refusal = only_get(request)
        if refusal is not None:
            return refusal
        asker = request.headers.get(CLUSTER_ID_HEADER, "")
        if asker and asker != format_id(self._questions.cluster_id):
            return error_response(CLUSTER_MISMATCH_TEXT, 412)
        body = await read_body(request)
        if body is None:
            return error_response(READING_FAILED_TEXT, 400)
        revision = _find_revision(body)
        if revision is None:
            log_warn(self._log, "failed to unmarshal request")
            return error_response(MALFORMED_TEXT, 400)
        try:
            result = await self._questions.hash_kv(revision)
        except EtcdError as error:
            text = _inner_text(error)
            log_warn(self._log, "failed to get hashKV", requested_revision=revision, error=text)
            return error_response(text, 400)
        response = json_response(self._describe(result))
        response.headers[CLUSTER_ID_HEADER] = self._cluster[CLUSTER_ID_HEADER]
        return response

    def _describe(self, result: KvHash) -> str:
        header = {
            "cluster_id": self._questions.cluster_id,
            "member_id": self._questions.member_id,
            "revision": result.revision,
            "raft_term": self._questions.term(),
        }
        record: dict[str, object] = {"header": header, "hash": result.hash, "compact_revision": result.compact_revision}
        # Go leaves zeros out.
        return json.dumps({name: value for name, value in record.items() if value}, separators=(",", ":"))

    async def downgrade_enabled(self, request: Request) -> Response:
        refusal = only_get(request)
        if refusal is not None:
            return refusal
        try:
            is_enabled = await self._questions.is_downgrading()
        except EtcdError as error:
            return error_response(error.text, 500, self._cluster)
        return Response("true" if is_enabled else "false", headers={"Content-Type": "text/plain", **self._cluster})


async def _redirect_to_promote(request: Request) -> Response:
    """Answer as Go's ServeMux does for what is registered with a slash."""
    headers = {"Location": PROMOTE_PATH}
    if request.method not in ("GET", "HEAD"):
        return Response(status_code=301, headers=headers)
    body = f'<a href="{PROMOTE_PATH}">Moved Permanently</a>.\n\n' if request.method == "GET" else ""
    return Response(body, status_code=301, headers={"Content-Type": "text/html; charset=utf-8", **headers})


def _find_decimal(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 21 and int(text) <= UINT64_MAX else None


def _find_revision(body: bytes) -> int | None:
    """Return the revision of a request as Go's encoding/json reads it: any case, 0 where there is none."""
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if record is None:
        return 0
    if not isinstance(record, dict):
        return None
    revision = 0
    for name, value in record.items():
        if name.lower() == "revision" and value is not None:
            if type(value) is not int or not -INT64_MAX - 1 <= value <= INT64_MAX:
                return None
            revision = value
    return revision


def _inner_text(error: EtcdError) -> str:
    if isinstance(error, Compacted):
        return COMPACTED_TEXT
    return FUTURE_TEXT if isinstance(error, FutureRev) else error.text
