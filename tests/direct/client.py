"""Requests to the page's server as they are written, over a real connection: nothing is put right on the way."""

import contextlib
import http.client
import json
import threading
from dataclasses import dataclass

import uvicorn

from mam_keras.direct import server


@dataclass
class Answer:
    status: int
    headers: dict
    content: bytes

    @property
    def text(self):
        return self.content.decode()

    def json(self):
        return json.loads(self.content)


class Client:
    """Of a server at an address host:port."""

    def __init__(self, address):
        self.address = address

    def get(self, path, headers=()):
        return self._ask("GET", path, None, dict(headers))

    def post(self, path, told=None, content=None, headers=()):
        content = json.dumps(told).encode() if content is None else content
        return self._ask("POST", path, content, {"Content-Type": "application/json"} | dict(headers))

    def _ask(self, method, path, content, headers):
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@contextlib.contextmanager
def serving(routes, token):
    """A `Client` of routes that are served, guarded, from a thread."""
    with server.listening("127.0.0.1", 0, expose=False) as listener:
        where = server.address(listener)
        app = server.guarded(routes, token, {where})
        config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_level="critical")
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Client(where)
        finally:
            serving.should_exit = True
            thread.join()
