"""From a protobuf message's bytes to JSON, as grpc-gateway v1 writes it.

Names as in the .proto, in the order of declaration; 64-bit numbers in quotes, bytes in base64, enums by name; what is
empty is left out. The bytes are read here, and not by the protobuf library: it does not nest as deep as etcd does, and
an answer of many keys need not become objects first.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from etcdpy.api.gateway.go_json import write_text
from etcdpy.api.gateway.schema import BOOL, BYTES, ENUM, INT64, MESSAGE, TEXT, UINT32, Field, Message
from etcdpy.base.invariant import InvariantError
from etcdpy.base.varint import decode_varint

_SIGN: Final = 1 << 63
_RANGE: Final = 1 << 64


def write_message(schema: Message, data: bytes) -> str:
    """Return the JSON object of a message that we made ourselves."""
    values = _read_fields(schema, data)
    parts = []
    for field in schema.fields:
        found = values.get(field.number)
        if found is None:
            continue
        if field.is_repeated:
            parts.append(f'"{field.name}":[' + ",".join([_write(field, value) for value in found]) + "]")
        elif found[-1] or field.kind == MESSAGE or field.oneof:
            parts.append(f'"{field.name}":' + _write(field, found[-1]))
    return "{" + ",".join(parts) + "}"


def _read_fields(schema: Message, data: bytes) -> dict[int, list[int | bytes]]:
    values: dict[int, list[int | bytes]] = {}
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        if tag < 128:
            at += 1
        else:
            tag, at = decode_varint(data, at)
        wire_type = tag & 7
        if wire_type == 0:
            value: int | bytes
            value, at = decode_varint(data, at)
        elif wire_type == 2:
            length, at = decode_varint(data, at)
            value = data[at : at + length]
            at += length
        else:
            raise InvariantError(f"{schema.name} has no field of wire type {wire_type}")
        number = tag >> 3
        if number in schema.by_number:
            known = values.get(number)
            if known is None:
                values[number] = [value]
            else:
                known.append(value)
    return values


def _write(field: Field, value: int | bytes) -> str:
    kind = field.kind
    if isinstance(value, bytes):
        if kind == BYTES:
            return f'"{b64encode(value).decode()}"'
        if kind == MESSAGE:
            assert field.type_ is not None
            return write_message(field.type_, value)
        if kind == TEXT:
            return write_text(value.decode("utf-8", "replace"))
        raise InvariantError(f"{field.name} is no number on the wire")
    if kind == BOOL:
        return "true" if value else "false"
    if kind == UINT32:
        return str(value)
    if kind == ENUM:
        return _write_enum(field, value)
    return f'"{value - _RANGE if kind == INT64 and value >= _SIGN else value}"'


def _write_enum(field: Field, value: int) -> str:
    name = field.names.get(value)
    return f'"{name}"' if name is not None else str(value - _RANGE if value >= _SIGN else value)
