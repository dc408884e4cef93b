"""An unmodified grpcio xDS client: dials argv[1], calls Echo argv[2] times, prints how often each version answered, as JSON."""
import collections
import json
import sys

import grpc
import grpc.experimental
from echo_pb import ECHO_METHOD, EchoRequest, EchoResponse

target, count = sys.argv[1], int(sys.argv[2])
credentials = grpc.xds_channel_credentials(grpc.experimental.insecure_channel_credentials())
with grpc.secure_channel(target, credentials) as channel:
    echo = channel.unary_unary(
        ECHO_METHOD,
        request_serializer=EchoRequest.SerializeToString,
        response_deserializer=EchoResponse.FromString,
    )
    versions = collections.Counter()
    for i in range(count):
        reply = echo(EchoRequest(message=f"hello {i}"), timeout=20, wait_for_ready=i == 0)
        lines = dict(line.split("=", 1) for line in reply.message.splitlines() if "=" in line)
        versions[lines.get("ServiceVersion", "?")] += 1
print(json.dumps(versions))
