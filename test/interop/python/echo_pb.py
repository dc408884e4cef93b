"""The echo messages, from the descriptor set that the runner makes of proto/echo (no generated Python in the tree)."""
import os

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_files = descriptor_pb2.FileDescriptorSet()
with open(os.environ["ECHO_DESCRIPTORS"], "rb") as _file:
    _files.ParseFromString(_file.read())
_pool = descriptor_pool.DescriptorPool()
for _descriptor in _files.file:
    _pool.Add(_descriptor)


def _message(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


EchoRequest = _message("proto.EchoRequest")
EchoResponse = _message("proto.EchoResponse")
ECHO_METHOD = "/proto.EchoTestService/Echo"
