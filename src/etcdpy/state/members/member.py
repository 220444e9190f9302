"""One member of the cluster as the others know it, and its JSON forms (facts 6.5, 7.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """`peer_urls` is always sorted, as upstream keeps it: ids are computed over the sorted list."""

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
        return replace(self, peer_urls=tuple(sorted(peer_urls)))

    def to_json(self) -> str:
        """Return the whole member: the value of the `members` bucket and the context of a configuration change."""
        record: dict[str, Any] = {"id": self.id, "peerURLs": list(self.peer_urls)}
        if self.is_learner:
            record["isLearner"] = True
        return _dump(record | self._attributes())

    def raft_attributes_json(self) -> str:
        record: dict[str, Any] = {"peerURLs": list(self.peer_urls)}
        if self.is_learner:
            record["isLearner"] = True
        return _dump(record)

    def attributes_json(self) -> str:
        return _dump(self._attributes())

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
            peer_urls=tuple(sorted(record.get("peerURLs") or ())),
            is_learner=bool(record.get("isLearner")),
            name=record.get("name", ""),
            client_urls=tuple(record.get("clientURLs") or ()),
        )


def _dump(record: dict[str, Any]) -> str:
    """JSON as Go's encoding/json gives it: no spaces, and the three characters that HTML could take amiss escaped."""
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
