#!/usr/bin/env bash
# Succeeds where a version of the model is available, by TF Serving's REST API: healthy.sh [port] [model]
# The image of TF Serving has neither curl nor wget, but bash.
exec 3<>"/dev/tcp/127.0.0.1/${1:-8501}" || exit 1
printf 'GET /v1/models/%s HTTP/1.0\r\n\r\n' "${2:-mam}" >&3
grep -q '"state": *"AVAILABLE"' <&3
