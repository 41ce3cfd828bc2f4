"""Reads an OTLP export request by the OpenTelemetry project's own definitions, strictly, and prints it as JSON.

    read.py FILE

Fails where the request has a field that the definitions lack, or is not what they would write themselves.
Ids are in hexadecimal, as OTLP/JSON has them (protobuf's JSON would have base64).
"""

import base64
import json
import sys

from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = {"traceId", "spanId", "parentSpanId"}


def known(message):
    """No field of it, nor of what is in it, is unknown."""
    unknown = [field.field_number for field in UnknownFieldSet(message)]
    if unknown:
        sys.exit(f"{message.DESCRIPTOR.full_name} has no fields {unknown}")
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for own in value if field.is_repeated else [value]:
                known(own)


def in_hex(value):
    if isinstance(value, list):
        return [in_hex(own) for own in value]
    if isinstance(value, dict):
        return {
            key: base64.b64decode(own).hex() if key in IDS else in_hex(own)
            for key, own in value.items()
        }
    return value


body = open(sys.argv[1], "rb").read()
request = ExportTraceServiceRequest()
if request.ParseFromString(body) != len(body):
    sys.exit("there is something behind the request")
known(request)
if request.SerializeToString(deterministic=True) != body:
    sys.exit("the definitions would write it otherwise")
print(json.dumps(in_hex(MessageToDict(request))))
