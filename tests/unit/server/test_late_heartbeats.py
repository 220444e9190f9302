"""Which ticks count as late, and for how many followers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from etcdpy.base.log import silent_logger
from etcdpy.server.late_heartbeats import LateHeartbeats
from etcdpy.state.members import Member


@dataclass
class World:
    """A member that leads or not, and a roster of three."""

    is_leader: bool = True

    def get_members(self) -> list[Member]:
        return [Member(id=number, peer_urls=()) for number in (1, 2, 3)]


def test_a_tick_after_more_than_two_intervals_is_late_for_every_follower() -> None:
    world = World()
    late = LateHeartbeats(
        member=world, member_id=1, roster=cast(Any, world), tick_seconds=0.5, now=10.0, log=silent_logger()
    )
    for now in (10.5, 11.5):
        late.tick(now)
    assert late.total == 0

    late.tick(12.75)
    assert late.total == 2

    world.is_leader = False
    late.tick(20.0)
    assert late.total == 2, "a follower sends none"
    world.is_leader = True
    late.tick(20.5)
    assert late.total == 2, "what was late once does not count again"
