# ruff: noqa: E402 (what may be imported is settled first)
"""A stand-in for TF Serving, which tests start as a process of its own: `python stand_in.py SAVED_MODEL`.

It is not TF Serving. It loads one SavedModel by `tf.saved_model.load`, in a process that can import neither Keras nor
mam_keras, and answers Predict over gRPC and the part of the REST API that the README uses, on loopback, without
merging requests. Its first line of output names its two ports; it ends with its standard input.
"""

import base64
import json
import os
import sys
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

sys.modules.update({"keras": None, "mam_keras": None})  # importing them fails; TensorFlow itself tries and goes on
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # a decoder's complaints about broken images

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class StandInForTFServing(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, path):
        self.loaded = tf.saved_model.load(path)  # kept: its variables live as long as it does
        self.signatures = self.loaded.signatures

    def specs(self, name):
        return self.signatures[name].structured_input_signature[1]

    def run(self, name, inputs):
        if set(inputs) != set(self.specs(name)):
            raise ValueError(f"{name}: expected the inputs {sorted(self.specs(name))}. Received: {sorted(inputs)}")
        return self.signatures[name](**inputs)

    def Predict(self, request, context):  # noqa: N802 (the service's own name)
        name = request.model_spec.signature_name or "serving_default"
        try:
            outputs = self.run(
                name, {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
            )
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response

    def predict_rows(self, body):
        """TF Serving's row format: {"signature_name", "instances": [{input: value}]} -> {"predictions": [...]}."""
        name = body.get("signature_name", "serving_default")
        rows = [{key: _from_json(value) for key, value in row.items()} for row in body["instances"]]
        inputs = {key: tf.constant([row[key] for row in rows], spec.dtype) for key, spec in self.specs(name).items()}
        outputs = {key: value.numpy() for key, value in self.run(name, inputs).items()}
        return {
            "predictions": [{key: value[row].tolist() for key, value in outputs.items()} for row in range(len(rows))]
        }


def _from_json(value):
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def rest_handler(servicer):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            states = [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]
            self.answer(*((200, {"model_version_status": states}) if self.path == "/v1/models/mam" else (404, {})))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(*((200, servicer.predict_rows(body)) if self.path == "/v1/models/mam:predict" else (404, {})))

        def answer(self, status, content):
            text = json.dumps(content, indent=1).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    return Handler


def main(path):
    servicer = StandInForTFServing(path)
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, server)
    ports = {"grpc": server.add_insecure_port("127.0.0.1:0")}
    server.start()
    rest = ThreadingHTTPServer(("127.0.0.1", 0), rest_handler(servicer))
    Thread(target=rest.serve_forever, daemon=True).start()
    print(json.dumps(ports | {"rest": rest.server_port}), flush=True)
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main(sys.argv[1])
