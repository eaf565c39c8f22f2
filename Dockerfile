# Two images. Training, on a GPU if there is one, not as root:
#
#     docker build --target train --tag mam_keras:train .
#     docker run --rm --gpus all --user "$(id -u)" --volume "$PWD/runs:/home/mam/runs" mam_keras:train configs/demo.yaml
#
# and serving what `python -m mam_keras.export runs/demo` wrote:
#
#     docker build --target serve --tag mam_keras:serve .
#     docker run --rm --publish 8500:8500 --publish 8501:8501 \
#         --volume "$PWD/runs/demo/saved_model:/models/mam:ro" mam_keras:serve

# The release made from the TensorFlow that constraints.txt names: it loads what that TensorFlow writes.
ARG TF_SERVING=2.21.0

FROM python:3.11-slim AS train
RUN useradd --create-home --uid 1000 mam
WORKDIR /home/mam
COPY pyproject.toml constraints.txt README.md LICENSE source/
COPY mam_keras source/mam_keras
COPY configs source/configs
RUN pip install --no-cache-dir --constraint source/constraints.txt './source[gpu,tfds]' && mv source/configs . && rm -r source
# Any user that `docker run --user` names may write here.
RUN mkdir runs && chmod 777 . runs
ENV HOME=/home/mam
USER mam
ENTRYPOINT ["python", "-m", "mam_keras.fit"]

FROM tensorflow/serving:${TF_SERVING} AS serve
COPY configs/serving /etc/mam_keras
ENV MODEL_NAME=mam
USER 1000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "/etc/mam_keras/healthy.sh"]
# Arguments of `docker run` take the place of these.
CMD ["--enable_batching", "--batching_parameters_file=/etc/mam_keras/batching.config", \
     "--monitoring_config_file=/etc/mam_keras/monitoring.config"]
