"""What JSON has to know of a message: its fields by name and number, and of which kind they are on both sides.

Taken from the descriptors of our own .proto files. Those differ from etcd's in two ways, which are undone here: names
of users and roles are `bytes` there, for they may hold any, but text in JSON; nested transactions are `bytes` there,
for the protobuf library refuses to go as deep as etcd does, but messages in JSON.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

BOOL, INT64, UINT64, UINT32, ENUM, TEXT, BYTES, MESSAGE = range(8)

_KINDS: Final = {
    FieldDescriptor.TYPE_BOOL: BOOL,
    FieldDescriptor.TYPE_INT64: INT64,
    FieldDescriptor.TYPE_UINT64: UINT64,
    FieldDescriptor.TYPE_UINT32: UINT32,
    FieldDescriptor.TYPE_ENUM: ENUM,
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_MESSAGE: MESSAGE,
}
_TEXTS_OF_AUTH: Final = frozenset(("name", "password", "hashedPassword", "user", "role", "token", "roles", "users"))
_NESTED: Final = {"request_txn": "TxnRequest", "response_txn": "TxnResponse"}
_OUR_PACKAGE: Final = "etcdpy."


class Field:
    """One field of a message."""

    __slots__ = (
        "name",
        "json_name",
        "number",
        "kind",
        "is_repeated",
        "oneof",
        "enum_name",
        "names",
        "numbers",
        "type_",
    )

    def __init__(self, field: FieldDescriptor) -> None:
        self.name: str = field.name
        self.json_name: str = field.json_name
        self.number: int = field.number
        self.kind: int = _kind_of(field)
        self.is_repeated: bool = bool(field.is_repeated)
        self.oneof: str = field.containing_oneof.name if field.containing_oneof is not None else ""
        self.enum_name = ""
        self.names: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        if field.enum_type is not None:
            self.enum_name = field.enum_type.full_name.removeprefix(_OUR_PACKAGE)
            self.names = {value.number: value.name for value in field.enum_type.values}
            self.numbers = {value.name: value.number for value in field.enum_type.values}
        self.type_: Message | None = None  # of a message field


class Message:
    """One type of message; its fields in the order of their declaration, which is that of JSON."""

    __slots__ = ("name", "fields", "by_number")

    def __init__(self, name: str) -> None:
        self.name = name
        self.fields: list[Field] = []
        self.by_number: dict[int, Field] = {}


_SCHEMAS: dict[str, Message] = {}


def schema_of(descriptor: Descriptor) -> Message:
    """Return the schema of a message type; the same one each time."""
    known = _SCHEMAS.get(descriptor.full_name)
    if known is not None:
        return known
    message = _SCHEMAS[descriptor.full_name] = Message(descriptor.name)
    for declared in descriptor.fields:
        field = Field(declared)
        if field.kind == MESSAGE:
            field.type_ = schema_of(_message_type(declared))
        message.fields.append(field)
        message.by_number[field.number] = field
    return message


def _kind_of(field: FieldDescriptor) -> int:
    if field.name in _NESTED:
        return MESSAGE
    assert field.containing_type is not None
    owner = field.containing_type.name
    if field.type == FieldDescriptor.TYPE_BYTES and owner.startswith("Auth") and field.name in _TEXTS_OF_AUTH:
        return TEXT
    return _KINDS[field.type]


def _message_type(field: FieldDescriptor) -> Descriptor:
    if field.name in _NESTED:
        assert field.containing_type is not None
        return field.containing_type.file.message_types_by_name[_NESTED[field.name]]
    assert field.message_type is not None
    return field.message_type
