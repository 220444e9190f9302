"""What we write is read by protobuf's decoder."""

from __future__ import annotations

from etcdpy.api.ops.profile_file import Frame, ProfileFile
from tests.unit.api.ops.pprof_reader import Sample, read_profile


def test_samples_frames_and_times_come_back() -> None:
    inner, outer, elsewhere = Frame("inner", "a.py", 7), Frame("outer", "a.py", 900), Frame("inner", "b.py", 7)
    file = ProfileFile([("samples", "count"), ("cpu", "nanoseconds")])
    file.add([inner, outer], [3, 10**10], thread="worker")
    file.add([elsewhere], [1, 0])

    profile, samples = read_profile(file.encode(begun_ns=10**18, took_ns=5, period=("cpu", "nanoseconds", 10_000_000)))

    assert samples == [
        Sample("worker", ["inner", "outer"], {"samples": 3, "cpu": 10**10}),
        Sample("", ["inner"], {"samples": 1, "cpu": 0}),
    ]
    assert [each.line[0].line for each in profile.location] == [7, 900, 7]
    assert sorted(profile.string_table[each.filename] for each in profile.function) == ["a.py", "a.py", "b.py"]
    assert (profile.time_nanos, profile.duration_nanos, profile.period) == (10**18, 5, 10_000_000)
    assert profile.string_table[profile.sample_type[1].unit] == "nanoseconds"
