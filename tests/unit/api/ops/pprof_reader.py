"""Reads pprof files with protobuf's own decoder, by the field numbers of profile.proto."""

from __future__ import annotations

import gzip
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_MESSAGES = {
    "ValueType": [("type", 1, "int64"), ("unit", 2, "int64")],
    "Label": [("key", 1, "int64"), ("str", 2, "int64")],
    "Sample": [("location_id", 1, "uint64*"), ("value", 2, "int64*"), ("label", 3, "Label*")],
    "Line": [("function_id", 1, "uint64"), ("line", 2, "int64")],
    "Location": [("id", 1, "uint64"), ("line", 4, "Line*")],
    "Function": [("id", 1, "uint64"), ("name", 2, "int64"), ("filename", 4, "int64")],
    "Profile": [
        ("sample_type", 1, "ValueType*"),
        ("sample", 2, "Sample*"),
        ("location", 4, "Location*"),
        ("function", 5, "Function*"),
        ("string_table", 6, "string*"),
        ("time_nanos", 9, "int64"),
        ("duration_nanos", 10, "int64"),
        ("period_type", 11, "ValueType"),
        ("period", 12, "int64"),
    ],
}
_SCALARS = {"int64": 3, "uint64": 4, "string": 9}
_MESSAGE_KIND = 11


class Sample(NamedTuple):
    thread: str
    stack: list[str]  # functions, innermost first
    values: dict[str, int]  # by type of sample


def _profile_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="profile.proto", package="p", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            base = kind.rstrip("*")
            message.field.add(
                name=field_name,
                number=number,
                label=3 if kind.endswith("*") else 1,
                type=_SCALARS.get(base, _MESSAGE_KIND),
                type_name=None if base in _SCALARS else f".p.{base}",
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Profile"))


def read_profile(content: bytes) -> tuple[Any, list[Sample]]:
    """Return the whole message, and its samples with names put in."""
    profile = _profile_class().FromString(gzip.decompress(content))
    strings = profile.string_table
    assert strings[0] == ""
    functions = {each.id: strings[each.name] for each in profile.function}
    locations = {each.id: functions[each.line[0].function_id] for each in profile.location}
    types = [strings[each.type] for each in profile.sample_type]
    samples = [
        Sample(
            strings[each.label[0].str] if each.label else "",
            [locations[number] for number in each.location_id],
            dict(zip(types, each.value, strict=True)),
        )
        for each in profile.sample
    ]
    return profile, samples
