"""What the peer transport counts: plain numbers, read by the metrics layer when somebody asks.

Peers are named by their ids; snapshots in flight and done are counted on both sides. Durations gather until they are
taken: the reader puts them into histograms.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

# Observations kept between two readings; probing makes half a one per second and peer, so that is ten minutes of four
# peers.
OBSERVATIONS_MAX: Final = 1_024

Observation = tuple[int, float]


class Counters:
    """Counts per member id. Byte counts are of the messages, as etcd's are, not of the HTTP around them."""

    def __init__(self) -> None:
        self.sent_bytes: defaultdict[int, int] = defaultdict(int)
        self.received_bytes: defaultdict[int, int] = defaultdict(int)
        self.sent_failures: defaultdict[int, int] = defaultdict(int)
        self.received_failures: defaultdict[int, int] = defaultdict(int)
        self.active: defaultdict[int, int] = defaultdict(int)  # etcd_network_active_peers: 0 or 1
        self.disconnected: defaultdict[int, int] = defaultdict(int)
        self.snapshot_send_success: defaultdict[int, int] = defaultdict(int)
        self.snapshot_send_failures: defaultdict[int, int] = defaultdict(int)
        self.snapshot_send_inflights: defaultdict[int, int] = defaultdict(int)
        self.snapshot_receive_success: defaultdict[int, int] = defaultdict(int)
        self.snapshot_receive_failures: defaultdict[int, int] = defaultdict(int)
        self.snapshot_receive_inflights: defaultdict[int, int] = defaultdict(int)
        self.round_trips = Observations()
        self.snapshot_sends = Observations()
        self.snapshot_receives = Observations()


class Observations:
    """Durations in seconds, each with the member that it was of; the oldest go when nobody takes them."""

    def __init__(self) -> None:
        self._kept: deque[Observation] = deque(maxlen=OBSERVATIONS_MAX)

    def add(self, member_id: int, seconds: float) -> None:
        self._kept.append((member_id, seconds))

    def take(self) -> list[Observation]:
        """Return and forget what gathered."""
        taken = list(self._kept)
        self._kept.clear()
        return taken
