"""An unmodified grpcio xDS server: serves Echo on argv[1] (host:port) with xDS credentials until standard input ends."""
import sys
from concurrent import futures

import grpc
from echo_pb import ECHO_METHOD, EchoRequest, EchoResponse


def echo(request, context):
    lines = ["StatusCode=200", "ServiceVersion=python", f"Echo={request.message}"]
    for key, values in context.auth_context().items():
        lines.append(f"Auth={key}:{values[0].decode(errors='replace')[:200]}")
    return EchoResponse(message="\n".join(lines) + "\n")


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), xds=True)
handler = grpc.unary_unary_rpc_method_handler(
    echo, request_deserializer=EchoRequest.FromString, response_serializer=EchoResponse.SerializeToString)
service, method = ECHO_METHOD[1:].split("/")
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
credentials = grpc.xds_server_credentials(grpc.insecure_server_credentials())
port = server.add_secure_port(sys.argv[1], credentials)
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(grace=1).wait()
