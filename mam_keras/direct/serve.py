"""Serves the page of a run on this machine until it is stopped."""

import secrets
import threading

import uvicorn
from starlette.concurrency import run_in_threadpool

from mam_keras.direct import plan, server
from mam_keras.direct.page import Page
from mam_keras.direct.session import Session, Wanted
from mam_keras.errors import UserError
from mam_keras.fit import cluster


def serve(path, folder, host, port, expose):
    """Serves the page of the finished run at `path` until it is stopped, with its session in `folder`."""
    if cluster.read("auto") is not None:
        raise UserError("TF_CONFIG: expected none for the page; on several machines use --regions. Received: a cluster")
    run = plan.opened(path)
    listener = server.listening(host, port, expose)
    rate = plan.defaults(run, ())["training.learning_rate"]
    wanted = Wanted(learning_rate=rate, by=plan.BY, map=run.config.loss.localisation_map)
    with listener, Session(folder, wanted).open() as session:
        page, token = Page(run, session), secrets.token_urlsafe(24)
        where = server.address(listener)
        hosts = None if host not in server.LOOPBACK else {where, f"localhost:{listener.getsockname()[1]}"}
        app = server.guarded(page.routes(), token, hosts)
        threading.Thread(target=page.warm_up, daemon=True).start()
        print(f"http://{where}/{token}/\nOpen it in a browser on this machine; Ctrl-C ends it.", flush=True)
        config = uvicorn.Config(
            app, http="h11", loop="asyncio", ws="none", lifespan="off", log_level="error", server_header=False
        )
        _Server(config, page.trial.stop).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends what is being trained before it ends itself, whichever signal it was that ended it."""

    def __init__(self, config, ending):
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets=None):
        await run_in_threadpool(self._ending)
        await super().shutdown(sockets)
