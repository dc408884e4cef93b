"""The interop service on grpcio, as far as the compressed cases need it: prints its port, serves until standard input ends."""
import sys
from concurrent import futures

import grpc
import messages


def payload(size):
    return messages.Payload(body=bytes(size))


def unary_call(request, context):
    if request.response_compressed.value:
        context.set_compression(grpc.Compression.Gzip)
    return messages.SimpleResponse(payload=payload(request.response_size))


def streaming_input_call(requests, context):
    return messages.StreamingInputCallResponse(
        aggregated_payload_size=sum(len(request.payload.body) for request in requests))


def streaming_output_call(request, context):
    if any(parameters.compressed.value for parameters in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    for parameters in request.response_parameters:
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        yield messages.StreamingOutputCallResponse(payload=payload(parameters.size))


def handler(make, behaviour, request, response):
    return make(behaviour, request_deserializer=request.FromString, response_serializer=response.SerializeToString)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, {
    "UnaryCall": handler(
        grpc.unary_unary_rpc_method_handler, unary_call, messages.SimpleRequest, messages.SimpleResponse),
    "StreamingInputCall": handler(
        grpc.stream_unary_rpc_method_handler, streaming_input_call,
        messages.StreamingInputCallRequest, messages.StreamingInputCallResponse),
    "StreamingOutputCall": handler(
        grpc.unary_stream_rpc_method_handler, streaming_output_call,
        messages.StreamingOutputCallRequest, messages.StreamingOutputCallResponse),
}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(grace=0).wait()
