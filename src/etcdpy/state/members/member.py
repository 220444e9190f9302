"""One member of the cluster as the others know it, and its JSON forms (facts 6.5, 7.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """`peer_urls` keep their order: whoever adds a member sorts them, whoever updates one does not, as in etcd."""

    id: int
    peer_urls: tuple[str, ...]
    is_learner: bool = False
    name: str = ""
    client_urls: tuple[str, ...] = field(default=())

    @property
    def is_started(self) -> bool:
        """A member has started once it published its name."""
        return self.name != ""

    def with_attributes(self, name: str, client_urls: Sequence[str]) -> Member:
        return replace(self, name=name, client_urls=tuple(client_urls))

    def with_peer_urls(self, peer_urls: Sequence[str]) -> Member:
        return replace(self, peer_urls=tuple(peer_urls))

    def as_voter(self) -> Member:
        return replace(self, is_learner=False)

    def to_json(self) -> str:
        """Return the whole member: the value of the `members` bucket and the context of a configuration change."""
        return _dump({"id": self.id} | self._raft_attributes() | self._attributes())

    def raft_attributes_json(self) -> str:
        return _dump(self._raft_attributes())

    def attributes_json(self) -> str:
        return _dump(self._attributes())

    def _raft_attributes(self) -> dict[str, Any]:
        record: dict[str, Any] = {"peerURLs": list(self.peer_urls) or None}  # Go's nil slice
        if self.is_learner:
            record["isLearner"] = True
        return record

    def _attributes(self) -> dict[str, Any]:
        record: dict[str, Any] = {}
        if self.name:
            record["name"] = self.name
        if self.client_urls:
            record["clientURLs"] = list(self.client_urls)
        return record

    @staticmethod
    def from_json(text: str | bytes) -> Member:
        """Return the member that `text` describes. Raise ValueError or KeyError when it describes none."""
        record = json.loads(text)
        return Member(
            id=int(record["id"]),
            peer_urls=tuple(record.get("peerURLs") or ()),
            is_learner=bool(record.get("isLearner")),
            name=record.get("name", ""),
            client_urls=tuple(record.get("clientURLs") or ()),
        )


def promotion_json(member_id: int) -> str:
    """Return the context of the change that makes a voter of a learner."""
    return _dump({"id": member_id, "peerURLs": None, "isPromote": True})


def is_promotion(context: str | bytes) -> bool:
    """Return whether the context of a ConfChangeAddNode promotes a learner instead of adding a member."""
    return bool(json.loads(context).get("isPromote"))


def _dump(record: dict[str, Any]) -> str:
    """JSON as Go's encoding/json gives it: no spaces, and the three characters that HTML could take amiss escaped."""
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
