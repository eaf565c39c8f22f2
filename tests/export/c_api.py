"""Runs signatures through TensorFlow's C API, the loader that TF Serving itself uses, without TensorFlow's Python.

    python c_api.py LIBRARY_FOLDER SAVED_MODEL < calls.json > answers.json

Calls: a list of {"inputs": {tensor: {"shape", "float32" | "uint8": numbers or "string": base64 texts}},
"outputs": [tensor]}, where a tensor is named as "operation:index". Answers: for each call,
{tensor: {"shape", "values"}}. Nothing is freed: the process ends with it.
"""

import base64
import ctypes
import json
import math
import struct
import sys
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path

FLOAT, UINT8, STRING, BOOL = 1, 4, 7, 10
TSTRING = 24  # sizeof(TF_TString)
PACKED = {"float32": (FLOAT, "f"), "uint8": (UINT8, "B")}
READ = {FLOAT: "f", UINT8: "B", BOOL: "?"}


class Output(ctypes.Structure):
    _fields_ = [("operation", c_void_p), ("index", c_int)]


class CAPI:
    def __init__(self, folder):
        self._libraries = [
            ctypes.CDLL(str(Path(folder) / name), ctypes.RTLD_GLOBAL)
            for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2")
        ]
        self.status = self.call("TF_NewStatus", c_void_p)

    def call(self, name, result, *arguments):
        function = next(getattr(library, name) for library in self._libraries if hasattr(library, name))
        function.restype = result
        returned = function(*arguments)
        return c_void_p(returned) if result is c_void_p else returned

    def check(self):
        if self.call("TF_GetCode", c_int, self.status):
            raise RuntimeError(self.call("TF_Message", c_char_p, self.status).decode())

    def load(self, path):
        self.graph = self.call("TF_NewGraph", c_void_p)
        options = self.call("TF_NewSessionOptions", c_void_p)
        tags = (c_char_p * 1)(b"serve")
        arguments = (options, None, str(path).encode(), tags, 1, self.graph, None, self.status)
        self.session = self.call("TF_LoadSessionFromSavedModel", c_void_p, *arguments)
        self.check()

    def tensor(self, shape, dtype, values):
        dimensions = (c_int64 * len(shape))(*shape)
        if dtype == "string":
            size = TSTRING * len(values)
            tensor = self.call("TF_AllocateTensor", c_void_p, STRING, dimensions, len(shape), c_size_t(size))
            start = self.call("TF_TensorData", c_void_p, tensor).value
            for index, text in enumerate(values):
                content, place = base64.b64decode(text), c_void_p(start + TSTRING * index)
                self.call("TF_StringInit", None, place)
                self.call("TF_StringCopy", None, place, content, c_size_t(len(content)))
            return tensor
        code, letter = PACKED[dtype]
        content = struct.pack(f"{len(values)}{letter}", *values)
        size = c_size_t(len(content))
        tensor = self.call("TF_AllocateTensor", c_void_p, code, dimensions, len(shape), size)
        ctypes.memmove(self.call("TF_TensorData", c_void_p, tensor), content, len(content))
        return tensor

    def output(self, name):
        operation, index = name.split(":")
        found = self.call("TF_GraphOperationByName", c_void_p, self.graph, operation.encode())
        if not found:
            raise RuntimeError(f"no operation {operation}")
        return Output(found, int(index))

    def run(self, inputs, outputs):
        tensors = []
        for content in inputs.values():
            shape = content.pop("shape")
            tensors.append(self.tensor(shape, *content.popitem()))
        places = (Output * len(inputs))(*map(self.output, inputs))
        wanted = (Output * len(outputs))(*map(self.output, outputs))
        values, found = (c_void_p * len(tensors))(*tensors), (c_void_p * len(outputs))()
        before = (self.session, None, places, values, len(tensors))
        self.call("TF_SessionRun", None, *before, wanted, found, len(outputs), None, 0, None, self.status)
        self.check()
        return {name: self.read(c_void_p(tensor)) for name, tensor in zip(outputs, found, strict=True)}

    def read(self, tensor):
        rank = self.call("TF_NumDims", c_int, tensor)
        shape = [self.call("TF_Dim", c_int64, tensor, axis) for axis in range(rank)]
        size = self.call("TF_TensorByteSize", c_size_t, tensor)
        content = ctypes.string_at(self.call("TF_TensorData", c_void_p, tensor), size)
        values = struct.unpack(f"{math.prod(shape)}{READ[self.call('TF_TensorType', c_int, tensor)]}", content)
        return {"shape": shape, "values": values}


def main(folder, path):
    api = CAPI(folder)
    api.load(path)
    answers = [api.run(call["inputs"], call["outputs"]) for call in json.load(sys.stdin)]
    assert "tensorflow" not in sys.modules
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
