"""Counters of the v2 store, in the order in which etcd writes them.

They are statistics: reads count too, so they differ between members, and no decision depends on them.

Upstream: server/etcdserver/api/v2store/stats.go.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final


@dataclass(slots=True)
class StoreStats:
    gets_success: int = 0
    gets_fail: int = 0
    sets_success: int = 0
    sets_fail: int = 0
    delete_success: int = 0
    delete_fail: int = 0
    update_success: int = 0
    update_fail: int = 0
    create_success: int = 0
    create_fail: int = 0
    compare_and_swap_success: int = 0
    compare_and_swap_fail: int = 0
    compare_and_delete_success: int = 0
    compare_and_delete_fail: int = 0
    expire_count: int = 0
    watchers: int = 0


def _json_name(field_name: str) -> str:
    first, *rest = field_name.split("_")
    return first + "".join(word.capitalize() for word in rest)


# Attribute -> name in JSON, in etcd's order.
STATS_JSON_NAMES: Final = {field.name: _json_name(field.name) for field in fields(StoreStats)}
