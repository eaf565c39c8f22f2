"""What tests say to a server: PredictRequest and PredictResponse over gRPC."""

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Client:
    """Args: address: "host:port". Raises `grpc.RpcError` where the server refuses a request or is gone."""

    def __init__(self, address):
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(address, options))

    def send(self, request):
        response = self._stub.Predict(request, timeout=120, wait_for_ready=True)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def predict(self, signature, **inputs):
        """Arrays, lists of bytes or of numbers -> {output: array}."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = "mam", signature
        for name, value in inputs.items():
            dtype = {"image": tf.uint8, "image_bytes": tf.string}.get(name, tf.float32)
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype))
        return self.send(request)
