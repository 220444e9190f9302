"""From JSON to a protobuf message's bytes, as grpc-gateway v1 maps them.

    {"key": "Zm9v", "limit": "10"}  >  0a 03 66 6f 6f 18 0a

A field may be called as in the .proto or in camel case. 64-bit numbers may stand in quotes, enums may be numbers; null
is as if it were not there; what is not known is passed over. Errors are found in the order of the fields, with Go's
texts. The bytes are written here and not by the protobuf library, which does not nest as deep as etcd does.
"""

from __future__ import annotations

import binascii
import re
from typing import Any, Final

from etcdpy.api.gateway.go_json import JsonError, Number, kind_name, parse_whole, write_text
from etcdpy.api.gateway.schema import BOOL, BYTES, ENUM, INT64, MESSAGE, TEXT, UINT32, UINT64, Field, Message
from etcdpy.base.varint import encode_varint

_VARINT: Final = 0
_LENGTH_DELIMITED: Final = 2
_OCTET: Final = -1
_RANGES: Final = {
    _OCTET: (0, 255, "uint8"),
    INT64: (-(1 << 63), (1 << 63) - 1, "int64"),
    UINT64: (0, (1 << 64) - 1, "uint64"),
    UINT32: (0, (1 << 32) - 1, "uint32"),
    ENUM: (-(1 << 31), (1 << 31) - 1, "protoreflect.EnumNumber"),
}
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_ALPHABET: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def encode_message(schema: Message, value: Any) -> bytes:
    """Return the message's bytes. Raise JsonError."""
    try:
        return _message(schema, value)
    except RecursionError:
        raise JsonError("invalid character '{' exceeded max depth") from None


def _message(schema: Message, value: Any) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, dict):
        raise _cannot(value, "map[string]json.RawMessage")
    parts: dict[str, bytes] = {}  # by oneof, or field: of a oneof the last one counts
    for field in schema.fields:
        given = value.get(field.name)
        if field.name not in value:
            given = value.get(field.json_name)
        if given is not None:
            parts[field.oneof or field.name] = _field(field, given)
    return b"".join(parts.values())


def _field(field: Field, value: Any) -> bytes:
    if not field.is_repeated:
        encoded = _value(field, value)
        # Proto3 does not write what is as if it had not been given.
        is_empty = encoded == (b"" if field.kind in (TEXT, BYTES) else b"\0")
        return b"" if is_empty and not field.oneof and field.kind != MESSAGE else _tagged(field, encoded)
    if not isinstance(value, list):
        raise _cannot(value, "[]json.RawMessage")
    return b"".join([_tagged(field, _value(field, item)) for item in value])


def _tagged(field: Field, encoded: bytes) -> bytes:
    if field.kind in (TEXT, BYTES, MESSAGE):
        return encode_varint(field.number << 3 | _LENGTH_DELIMITED) + encode_varint(len(encoded)) + encoded
    return encode_varint(field.number << 3 | _VARINT) + encoded


def _value(field: Field, value: Any) -> bytes:
    """Return the value's bytes without tag and length."""
    kind = field.kind
    if kind == MESSAGE:
        assert field.type_ is not None
        return _message(field.type_, value)
    if kind == TEXT:
        return _text(value).encode()
    if kind == BYTES:
        return _bytes(value)
    if kind == BOOL:
        if value is not None and not isinstance(value, bool):
            raise _cannot(value, "bool")
        return encode_varint(int(bool(value)))
    if kind == ENUM and isinstance(value, str) and not isinstance(value, Number):
        return encode_varint(_enum(field, value))
    return encode_varint(_integer(kind, value))


def _text(value: Any, go_type: str = "string") -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Number):
        raise _cannot(value, go_type)
    # A half of a pair of surrogates is no character: Go replaces it.
    return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not value.isascii() else value


def _bytes(value: Any) -> bytes:
    if isinstance(value, list):  # Go takes these, too
        return bytes([_integer(_OCTET, item) for item in value])
    return b"" if value is None else decode_base64(_text(value, "[]uint8"))


def _enum(field: Field, name: str) -> int:
    number = field.numbers.get(name)
    if number is None:
        as_written = write_text(name).replace("\\", "\\\\").replace('"', '\\"')
        quoted = f'"{as_written}"'
        raise JsonError(f"unknown value {quoted} for enum {field.enum_name}")
    return number


def _integer(kind: int, value: Any) -> int:
    low, high, go_type = _RANGES[kind]
    if kind not in (ENUM, _OCTET) and isinstance(value, str) and not isinstance(value, Number):
        value = parse_whole(value)
    if value is None:
        return 0
    if not isinstance(value, Number):
        raise _cannot(value, go_type)
    # Twenty digits hold every 64-bit number, and no text of megabytes is made a number.
    if len(value) > 20 or not value.lstrip("-").isdigit() or not low <= int(value) <= high:
        raise _cannot(value, go_type)
    return int(value)


def _cannot(value: object, go_type: str) -> JsonError:
    # With the digits where a number was wanted; where something else was, Go speaks of a number only.
    is_plain = isinstance(value, Number) and go_type in ("map[string]json.RawMessage", "[]json.RawMessage")
    is_plain = is_plain or isinstance(value, Number) and go_type in ("string", "[]uint8", "bool")
    return JsonError(
        f"json: cannot unmarshal {'number' if is_plain else kind_name(value)} into Go value of type {go_type}"
    )


def decode_base64(text: str) -> bytes:
    """Return what standard base64 with padding stands for; line breaks are passed over. Raise JsonError."""
    plain = text.replace("\n", "").replace("\r", "")
    if not _BASE64.fullmatch(plain):
        raise JsonError(f"illegal base64 data at input byte {_first_defect(text)}")
    return binascii.a2b_base64(plain)


def _first_defect(text: str) -> int:
    """Return the byte that Go's decoder complains of."""
    data = text.encode("utf-8")
    quantum: list[int] = []  # where its characters stand
    for at, byte in enumerate(data):
        character = chr(byte)
        if character in "\r\n":
            continue
        if character == "=":
            return _defect_of_padding(data, at, len(quantum))
        if character not in _ALPHABET:
            return at
        quantum = [] if len(quantum) == 3 else [*quantum, at]
    return len(data) - len(quantum)


def _defect_of_padding(data: bytes, at: int, have: int) -> int:
    if have < 2:
        return at
    rest = [(position, byte) for position, byte in enumerate(data[at + 1 :], at + 1) if byte not in b"\r\n"]
    if have == 2:
        if not rest:
            return len(data)
        position, byte = rest.pop(0)
        if byte != ord("="):
            return position - 1
    return rest[0][0] if rest else len(data)
