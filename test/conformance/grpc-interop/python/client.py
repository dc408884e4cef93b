"""`client.py <port> <case…>`: the compressed interop cases on grpcio; prints a line of JSON per case: {"name", "error"?}."""
import json
import os
import sys

import grpc
import messages

GZIP = grpc.Compression.Gzip
PLAIN = grpc.Compression.NoCompression
TIMEOUT_SECONDS = 10


def zeros(size):
    return messages.Payload(body=bytes(size))


def incompressible(size):
    """grpcio has no flag for a single request; what gzip makes no smaller, it sends as it is."""
    return messages.Payload(body=os.urandom(size))


class Stub:
    def __init__(self, channel):
        def method(make, name, request, response):
            return make(
                f"/{messages.SERVICE}/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString)

        self.unary = method(channel.unary_unary, "UnaryCall", messages.SimpleRequest, messages.SimpleResponse)
        self.input = method(
            channel.stream_unary, "StreamingInputCall",
            messages.StreamingInputCallRequest, messages.StreamingInputCallResponse)
        self.output = method(
            channel.unary_stream, "StreamingOutputCall",
            messages.StreamingOutputCallRequest, messages.StreamingOutputCallResponse)

    def large_unary(self, compression=PLAIN, **fields):
        request = messages.SimpleRequest(response_size=314159, payload=zeros(271828), **fields)
        reply = self.unary(request, compression=compression, timeout=TIMEOUT_SECONDS)
        assert reply.payload.body == bytes(314159), "the payload isn't 314159 zeros"


def flag(value):
    return messages.BoolValue(value=value)


def expect_invalid_argument(call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
    else:
        raise AssertionError("an uncompressed request was taken where a compressed one was announced")


def client_compressed_unary(stub):
    expect_invalid_argument(lambda: stub.large_unary(expect_compressed=flag(True)))
    stub.large_unary(GZIP, expect_compressed=flag(True))
    stub.large_unary(expect_compressed=flag(False))


def client_compressed_streaming(stub):
    def request(payload, compressed):
        return messages.StreamingInputCallRequest(payload=payload, expect_compressed=flag(compressed))

    expect_invalid_argument(lambda: stub.input(iter([request(zeros(27182), True)]), timeout=TIMEOUT_SECONDS))
    requests = [request(zeros(27182), True), request(incompressible(45904), False)]
    reply = stub.input(iter(requests), compression=GZIP, timeout=TIMEOUT_SECONDS)
    assert reply.aggregated_payload_size == 73086, reply


def server_compressed_unary(stub):
    stub.large_unary(response_compressed=flag(True))
    stub.large_unary(response_compressed=flag(False))


def server_compressed_streaming(stub):
    wishes = [(31415, True), (92653, False)]
    request = messages.StreamingOutputCallRequest(response_parameters=[
        messages.ResponseParameters(size=size, compressed=flag(compressed)) for size, compressed in wishes])
    bodies = [reply.payload.body for reply in stub.output(request, timeout=TIMEOUT_SECONDS)]
    assert bodies == [bytes(size) for size, _ in wishes], [len(body) for body in bodies]


for name in sys.argv[2:]:
    result = {"name": name}
    with grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}") as channel:
        try:
            globals()[name](Stub(channel))
        except Exception as error:  # whatever it is, it is why the case failed
            result["error"] = repr(error)
    print(json.dumps(result), flush=True)
