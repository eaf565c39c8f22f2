"""The page: what it asks for, what it tells, and what it is answered. `server` has let the requests in before."""

import base64
import dataclasses
import threading

import jinja2
import numpy as np
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mam_keras import command_line
from mam_keras.analysis.trained_run import TrainedRun
from mam_keras.data import places
from mam_keras.direct import comparison, leaning, pictures, server
from mam_keras.direct import plan as plans
from mam_keras.direct.looking import GRAD_CAM, OWN, SHOWN, Looking, Shown, covered, mean_map
from mam_keras.direct.session import Changed, Mark, Wanted
from mam_keras.direct.trial import Trial
from mam_keras.errors import UserError
from mam_keras.files import digest
from mam_keras.settings import Name, Section, Text

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mam_keras.direct"), autoescape=True, undefined=jinja2.StrictUndefined
)
_STYLE = jinja2.PackageLoader("mam_keras.report").get_source(jinja2.Environment(), "page.css")[0]  # the house's


class _Mark(Section):
    attribute: Text
    mark: Mark
    seen: int
    map: Text


class _Want(Section):
    wanted: Wanted
    seen: int


class _Train(Section):
    carry_on: bool


class _Keep(Section):
    name: Name = Field(max_length=100)


class _Nothing(Section):
    """A request that says nothing but its address."""


class Page:
    """What the page's requests are answered with.

    Args:
        run: the `TrainedRun` that is directed.
        session: an open `session.Session`.
    """

    def __init__(self, run, session):
        self.run, self.session, self.trial = run, session, Trial(run, session)
        self.split = next((name for name in ("validation", "test") if run.predictions(name) is not None), None)
        if self.split is None:
            raise UserError(f"{run.directory.path}: expected a run that answered validation images. Received: none")
        self.leanings = leaning.leanings(run, self.split)
        self._marked_on, self._looking = Looking(run, "train"), Looking(run, self.split)
        self._working = threading.Lock()  # networks and images are one thread's at a time
        self._networks, self._maps, self._compared = {}, {}, {}

    def routes(self):
        asked = [("/", self.html), ("/page.css", self.style), ("/page.js", self.script), ("/about", self.about)]
        asked += [("/state", self.state), ("/attribute/{k:int}/{map}", self.attribute), ("/result", self.result)]
        told = [("/mark", self.mark), ("/want", self.want), ("/train", self.train), ("/stop", self.stop)]
        told += [("/keep", self.keep), ("/throw_away", self.throw_away)]
        return [Route(path, one, methods=["GET"]) for path, one in asked] + [
            Route(path, one, methods=["POST"]) for path, one in told
        ]

    def warm_up(self):
        """What takes a few seconds and is wanted soon: TensorFlow, the network, the images."""
        with self._working:
            self._shown(self.run)
            _ = self._marked_on.images

    # Asked for

    async def html(self, _):
        name = self.run.directory.path.resolve().name
        celeba = self.run.config.data.is_celeba
        return HTMLResponse(_TEMPLATES.get_template("page.html.jinja").render(name=name, celeba=celeba))

    async def style(self, _):
        return Response(_STYLE + _source("direct.css"), media_type="text/css")

    async def script(self, _):
        return Response(_source("direct.js"), media_type="text/javascript")

    async def about(self, _):
        """What does not change while the page is open."""
        return JSONResponse(await run_in_threadpool(self._about))

    def _about(self):
        run = self.run
        presets = {name: pictures.rectangles(one) for name, one in places.presets(run.config.data).items()}
        with self._working:
            stages = [stage.name for stage in self._shown(run).network.stages]
        return {
            "name": run.directory.path.resolve().name,
            "split": self.split,
            "images": len(run.predictions(self.split).ids),
            "attributes": [
                {"k": run.attributes.index(one.name)} | dataclasses.asdict(one) | {"lost": one.lost}
                for one in self.leanings
            ],
            "presets": presets,
            "maps": self._map_names() + stages[:-1],
            "weights": plans.WEIGHTS,
        }

    async def state(self, _):
        """What is marked and set, and how the training stands."""
        return JSONResponse(await run_in_threadpool(self._state))

    def _state(self):
        state, trial = self.session.state, {"state": self.trial.state}
        told = self.trial.told
        if told is not None:
            trial |= {"attributes": list(told.attributes), "settings": told.settings, "why": self.trial.why}
        if trial["state"] == "training":
            trial["progress"] = self.trial.progress()
        return state.model_dump(mode="json", exclude={"tried"}) | {"tried": len(state.tried), "trial": trial}

    async def attribute(self, request):
        """What the network shows of one attribute."""
        k, name = request.path_params["k"], request.path_params["map"]
        if k >= len(self.run.attributes):
            raise HTTPException(404, "expected one of the attributes")
        return JSONResponse(await run_in_threadpool(self._attribute, k, name))

    def _attribute(self, k, name):
        attribute, predictions = self.run.attributes[k], self.run.predictions(self.split)
        with self._working:
            looking, maps = self._marked_on, self._maps_of(k, name)
            rows = looking.positives(k)[:SHOWN]
            shown = [
                _shown(looking.images, row) | {"map": _uri(pictures.heat(one))}
                for row, one in zip(rows, maps, strict=False)
            ]
            found = {
                "template": _uri(pictures.image(looking.template(k))),
                "heat": _uri(pictures.heat(mean_map(maps))),
                "shown": shown,
                "positives": len(looking.positives(k)),
                **self._covered(k, name),
            }
        right = predictions.answers(predictions.main_head)[:, k], predictions.labels[:, k]
        known = predictions.known[:, k]
        found["confusion"] = [
            [int((known & (right[1] == label) & (right[0] == answer)).sum()) for answer in (True, False)]
            for label in (True, False)
        ]
        other = next(one.other for one in self.leanings if one.name == attribute)
        found["groups"] = []
        if other is not None:
            at = self.run.attributes.index(other)
            found["groups"] = leaning.four_groups(predictions, k, at, self.run.attributes)
        return found

    async def result(self, _):
        """The finished run beside the one before and its control."""
        return JSONResponse(await run_in_threadpool(self._result))

    def _result(self):
        if self.trial.state != "done":
            raise HTTPException(409, "expected a finished training")
        told = self.trial.told
        with self._working:
            key = digest(self.session.trial.model)
            if key not in self._compared:
                self._compared = {key: self._compare(told)}
            return self._compared[key]

    # Told

    async def mark(self, request):
        """A mark was drawn: keeps it and says what it covers."""
        asked = await server.body(request, _Mark)
        return JSONResponse(await run_in_threadpool(self._mark, asked))

    def _mark(self, asked):
        if asked.attribute not in self.run.attributes:
            raise HTTPException(422, "attribute: expected one of the run's")
        known = places.presets(self.run.config.data)
        if not set(asked.mark.template.presets) <= set(known):
            raise HTTPException(422, f"mark.template.presets: expected some of {', '.join(known) or 'none'}")
        with self._working:
            if not set(asked.mark.images) <= set(map(str, self._marked_on.images.ids)):
                raise HTTPException(422, "mark.images: expected ids of training images")
            k = self.run.attributes.index(asked.attribute)
            self._require_map(asked.map)
            try:
                seen = self.session.mark(asked.attribute, asked.mark, asked.seen)
            except Changed:
                raise HTTPException(409, "another window changed this region first; it is shown as it is now") from None
            return {"seen": seen, **self._covered(k, asked.map)}

    async def want(self, request):
        """How to fine-tune was changed."""
        asked = await server.body(request, _Want)
        return JSONResponse(await run_in_threadpool(self._want, asked))

    def _want(self, asked):
        self._require_map(asked.wanted.map)
        if not set(asked.wanted.weights) <= set(self.run.attributes):
            raise HTTPException(422, "wanted.weights: expected attributes of the run")
        try:
            return {"seen": self.session.want(asked.wanted, asked.seen)}
        except Changed:
            raise HTTPException(409, "another window changed the settings first; they are shown as they are") from None

    async def train(self, request):
        asked = await server.body(request, _Train)
        return await self._changing(self.trial.carry_on if asked.carry_on else self._begin)

    def _begin(self):
        wanted, marks = self.session.state.wanted, self.session.state.marks
        names = [name for name in self.run.attributes if name in marks]
        weights = {name: list(wanted.weights.get(name, plans.WEIGHTS)) for name in names}
        changes = {
            "training.epochs": wanted.epochs,
            "training.learning_rate": wanted.learning_rate,
            "loss.localisation_by": wanted.by,
            "loss.localisation_map": wanted.map,
            "loss.localisation_order": wanted.order,
            "loss.directed": weights,
        }
        self.trial.begin(names, changes)

    async def stop(self, request):
        await server.body(request, _Nothing)
        return await self._changing(self.trial.stop)

    async def throw_away(self, request):
        await server.body(request, _Nothing)
        return await self._changing(self.trial.throw_away)

    async def keep(self, request):
        asked = await server.body(request, _Keep)
        return await self._changing(lambda: {"path": str(self.trial.keep(asked.name))})

    async def _changing(self, change):
        def alone():
            with self.session.lock:
                return change() or {}

        return JSONResponse(await run_in_threadpool(alone))

    # Worked out, by one thread at a time

    def _shown(self, run):
        """The `Shown` of a run, kept."""
        key = run.directory.path, run.digests["model"]
        if key not in self._networks:
            command_line.import_tensorflow()
            self._networks[key] = Shown(run.network)
        return self._networks[key]

    def _map_names(self):
        maps = list(self._shown(self.run).network.maps)
        return [OWN] * bool(maps) + [GRAD_CAM] * (GRAD_CAM in maps)

    def _require_map(self, name):
        network = self._shown(self.run).network
        if name not in self._map_names() and name not in [stage.name for stage in network.stages]:
            raise HTTPException(422, "map: expected one of the network's")

    def _maps_of(self, k, name):
        self._require_map(name)
        if (k, name) not in self._maps:
            self._maps[k, name] = self._marked_on.maps(self._shown(self.run), k, name)
        return self._maps[k, name]

    def _covered(self, k, name):
        """What the mark of an attribute covers: of the image, and of the map's energy on its positives."""
        attribute, looking = self.run.attributes[k], self._marked_on
        if attribute not in self.session.state.marks:
            return {"covered": None, "area": None}
        regions = looking.regions(self._places(), attribute, looking.positives(k))
        shares = covered(self._maps_of(k, name), regions)
        return {"covered": None if np.isnan(shares).all() else float(np.nanmean(shares)), "area": float(regions.mean())}

    def _places(self):
        return places.read(self.session.regions, self.run.config.data)

    def _compare(self, told):
        paths = {"before": self.run.directory.path, "directed": told.path, "control": told.control}
        runs = {name: TrainedRun(path) for name, path in paths.items()}
        where, by = places.read(told.regions, self.run.config.data), told.settings["loss.localisation_map"]
        looking, found = self._looking, comparison.accuracies(runs, self.split, told.attributes)
        found |= {"split": self.split, "attributes": [], "seconds": {}}
        for attribute in told.attributes:
            k = self.run.attributes.index(attribute)
            rows = looking.positives(k)
            maps = {name: looking.maps(self._shown(run), k, by) for name, run in runs.items()}
            energy = comparison.energies(maps, looking.regions(where, attribute, rows))
            other = next(one.other for one in self.leanings if one.name == attribute)
            groups = None if other is None else comparison.four_groups(runs, self.split, attribute, other)
            found["attributes"].append(
                {
                    "name": attribute,
                    "energy": energy,
                    "groups": groups,
                    "said": comparison.judged(attribute, energy, groups),
                    "shown": [
                        _shown(looking.images, row)
                        | {name: _uri(pictures.heat(one[place])) for name, one in maps.items()}
                        for place, row in enumerate(rows[:SHOWN])
                    ],
                }
            )
        for name in ("directed", "control"):
            found["seconds"][name] = comparison.seconds(runs[name])
        return found


def _source(name):
    return _TEMPLATES.loader.get_source(_TEMPLATES, name)[0]


def _shown(images, row):
    return {"id": str(images.ids[row]), "picture": _uri(pictures.image(images.images[row]))}


def _uri(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
