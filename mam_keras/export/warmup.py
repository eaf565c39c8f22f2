"""Requests that TF Serving answers before it calls a version available, so that no caller waits for a first time."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

MODEL_NAME = "mam"  # under which the serving set-up serves it; TF Serving itself ignores it here


def write(path, found):
    """One request for one drawn image to each of `signatures.signatures`, as TFRecords of PredictionLog."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, (_, specs) in found.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name, request.model_spec.signature_name = MODEL_NAME, name
            for spec in specs:
                request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(_example(spec), spec.dtype))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def _example(spec):
    if spec.dtype == tf.float32:
        return np.ones(1, "float32")
    drawn = np.tile(np.linspace(0, 255, 64).astype("uint8")[:, None, None], (1, 64, 3))
    if spec.dtype == tf.string:
        return [tf.io.encode_png(drawn).numpy()]
    return tf.image.resize([drawn], spec.shape[1:3]).numpy().astype("uint8")
