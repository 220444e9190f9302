"""From JSON to bytes: they are those that the protobuf library would write."""

from __future__ import annotations

import pytest

from etcdpy.api.gateway.decode import decode_base64, encode_message
from etcdpy.api.gateway.go_json import JsonError, parse_whole
from etcdpy.api.gateway.schema import schema_of
from etcdpy.pb import rpc_pb2


def put(text: str) -> rpc_pb2.PutRequest:
    schema = schema_of(rpc_pb2.PutRequest.DESCRIPTOR)
    return rpc_pb2.PutRequest.FromString(encode_message(schema, parse_whole(text)))


def test_fields_go_by_both_names_and_numbers_may_stand_in_quotes() -> None:
    expected = rpc_pb2.PutRequest(key=b"foo", lease=-5, prev_kv=True)

    assert put('{"key":"Zm9v","lease":"-5","prev_kv":true}') == expected
    assert put('{"key":"Zm9v","lease":-5,"prevKv":true,"unknown":[{}]}') == expected


def test_nothing_is_written_of_what_is_empty_but_a_zero_byte_is_not_empty() -> None:
    schema = schema_of(rpc_pb2.PutRequest.DESCRIPTOR)

    assert encode_message(schema, parse_whole('{"key":"","lease":"0","prev_kv":false,"value":null}')) == b""
    assert put('{"key":"AA=="}').key == b"\0"


def test_of_a_oneof_the_last_field_counts_even_when_empty() -> None:
    schema = schema_of(rpc_pb2.Compare.DESCRIPTOR)
    encoded = encode_message(schema, parse_whole('{"value":"","version":"1","target":"VALUE"}'))

    compare = rpc_pb2.Compare.FromString(encoded)
    assert compare.WhichOneof("target_union") == "value"
    assert compare.target == rpc_pb2.Compare.VALUE


def test_transactions_nest_as_deep_as_etcd_takes_them_and_no_deeper_than_we_can() -> None:
    schema = schema_of(rpc_pb2.TxnRequest.DESCRIPTOR)

    def nested(depth: int) -> bytes:
        text = '{"success":[{"request_txn":' * depth + "{}" + "}]}" * depth
        return encode_message(schema, parse_whole(text))

    assert len(nested(127)) > 127
    with pytest.raises(JsonError, match="exceeded max depth"):
        nested(5000)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", "json: cannot unmarshal array into Go value of type map[string]json.RawMessage"),
        ('{"key":1}', "json: cannot unmarshal number into Go value of type []uint8"),
        ('{"lease":1.5}', "json: cannot unmarshal number 1.5 into Go value of type int64"),
        (
            '{"lease":"9223372036854775808"}',
            "json: cannot unmarshal number 9223372036854775808 into Go value of type int64",
        ),
        ('{"prev_kv":"true"}', "json: cannot unmarshal string into Go value of type bool"),
    ],
)
def test_what_does_not_fit_is_refused_in_gos_words(text: str, error: str) -> None:
    with pytest.raises(JsonError) as caught:
        put(text)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("text", "defect"),
    [("Zm9", 0), ("Y$Q=", 1), ("YQ==YQ==", 4), ("YQ=", 3), ("YQ=x", 2), ("Y===", 1), ("YWJj=", 4), ("Y-Q_", 1)],
)
def test_base64_is_strict_and_its_defects_are_found_where_go_finds_them(text: str, defect: int) -> None:
    with pytest.raises(JsonError, match=f"illegal base64 data at input byte {defect}$"):
        decode_base64(text)


def test_base64_may_have_line_breaks() -> None:
    assert decode_base64("Zm\n9v\r\n") == b"foo"
