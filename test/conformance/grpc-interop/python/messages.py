"""grpc.testing's messages, from the descriptor set that the runner makes of proto/ (no generated Python in the tree)."""
import os

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_files = descriptor_pb2.FileDescriptorSet()
with open(os.environ["TESTING_DESCRIPTORS"], "rb") as _file:
    _files.ParseFromString(_file.read())
_pool = descriptor_pool.DescriptorPool()
for _descriptor in _files.file:
    _pool.Add(_descriptor)


def _message(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"grpc.testing.{name}"))


SERVICE = "grpc.testing.TestService"
BoolValue = _message("BoolValue")
Payload = _message("Payload")
ResponseParameters = _message("ResponseParameters")
SimpleRequest = _message("SimpleRequest")
SimpleResponse = _message("SimpleResponse")
StreamingInputCallRequest = _message("StreamingInputCallRequest")
StreamingInputCallResponse = _message("StreamingInputCallResponse")
StreamingOutputCallRequest = _message("StreamingOutputCallRequest")
StreamingOutputCallResponse = _message("StreamingOutputCallResponse")
