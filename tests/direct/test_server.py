"""The page's server: who may ask, what is refused, and that nothing refused changes anything."""

import json
import random
import string

import pytest

from mam_keras import command_line, settings
from mam_keras.data import places
from mam_keras.direct import plan, server
from mam_keras.direct.session import Session, Wanted
from mam_keras.errors import UserError
from tests.direct.client import serving

command_line.import_matplotlib()

from mam_keras.direct.page import Page  # noqa: E402

TOKEN = "a-token"
MARK = {"template": {"presets": ["mouth"], "rectangles": [[0.1, 0.2, 0.3, 0.4]], "polygons": []}, "images": {}}


@pytest.fixture(scope="module")
def session(before):
    wanted = Wanted(learning_rate=0.001, by="energy", map="own")
    with Session(before.with_name("small-directing"), wanted).open() as session:
        yield session


@pytest.fixture(scope="module")
def page(before, session):
    return Page(plan.opened(before), session)


@pytest.fixture(scope="module")
def client(page):
    with serving(page.routes(), TOKEN) as client:
        yield client


@pytest.fixture
def files(before, session):
    """files() -> what is in all runs and in the session, by path."""
    folder = before.parent
    return lambda: {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def url(path):
    return f"/{TOKEN}/{path}"


def marked(client, attribute="Smiling", mark=MARK, seen=None, on="own"):
    seen = client.get(url("state")).json()["seen"].get(attribute, 0) if seen is None else seen
    return client.post(url("mark"), told={"attribute": attribute, "mark": mark, "seen": seen, "map": on})


def test_the_page_asks_nobody_else_and_runs_no_script_of_the_page(client):
    answer = client.get(url(""))
    assert answer.status == 200 and "<h1>Direct small</h1>" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert not any(one in answer.text for one in ("<script>", "style=", "//"))
    assert answer.headers["referrer-policy"] == "no-referrer"
    for name in ("page.css", "page.js"):
        assert client.get(url(name)).status == 200


@pytest.mark.parametrize(
    "path, headers, status",
    [
        ("/", {}, 404),
        ("/state", {}, 404),
        ("/another-token/state", {}, 404),
        ("/A-TOKEN/state", {}, 404),
        (f"/{TOKEN}x/state", {}, 404),
        (url("state"), {"Host": "127.0.0.1:8001"}, 421),
        (url("state"), {"Host": "evil.example"}, 421),
        (url("state"), {"Origin": "http://evil.example"}, 403),
        (url("state"), {"Origin": "null"}, 403),
        (url("state"), {"Origin": "https://127.0.0.1"}, 403),
        (url("state"), {"Sec-Fetch-Site": "cross-site"}, 403),
        (url("state"), {"Sec-Fetch-Site": "same-site"}, 403),
        (url("../state"), {}, 404),
        (url("%2e%2e/%2e%2e/config.yaml"), {}, 404),
        (url("..%2f..%2fconfig.yaml"), {}, 404),
        (url("page.css/../../config.yaml"), {}, 404),
        (url("attribute/0/..%2f..%2fconfig.yaml"), {}, 404),
        (url("attribute/99/own"), {}, 404),
        (url("attribute/-1/own"), {}, 404),
        (url("attribute/0/elsewhere"), {}, 422),
        (url("attribute/0/%00"), {}, 422),
    ],
)
def test_what_is_not_the_pages_own_is_refused(client, files, path, headers, status):
    there = files()
    assert client.get(path, headers=headers).status == status
    posted = client.post(path, headers=headers, told={"carry_on": False})
    assert 400 <= posted.status < 500
    assert files() == there


def test_its_own_origin_is_answered(client):
    headers = {"Origin": f"http://{client.address}", "Sec-Fetch-Site": "same-origin"}
    assert client.get(url("state"), headers=headers).status == 200


@pytest.mark.parametrize(
    "content, kind, status",
    [
        (b"{" * 5000, "application/json", 422),
        (b'{"carry_on": false', "application/json", 422),
        (b'{"carry_on": false, "x": 1}', "application/json", 422),
        (b'{"carry_on": 0}', "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b'{"carry_on": false}', "text/plain", 415),
        (b'{"carry_on": false}', "application/x-www-form-urlencoded", 415),
        (b" " * (server.LARGEST + 1), "application/json", 413),
    ],
)
@pytest.mark.parametrize("path", ["train", "mark", "want", "keep", "stop", "throw_away"])
def test_bodies_of_another_kind_are_refused(client, files, path, content, kind, status):
    there = files()
    assert client.post(url(path), content=content, headers={"Content-Type": kind}).status == status
    assert files() == there


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a b", ".x", "x" * 101, "\x00", "<b>", None, 3])
def test_a_run_is_kept_under_a_plain_name_only(client, files, name):
    there = files()
    assert client.post(url("keep"), told={"name": name}).status == 422
    assert files() == there


def test_without_a_training_nothing_is_kept_or_carried_on(client, files):
    there = files()
    for path, told in (("keep", {"name": "x"}), ("train", {"carry_on": True}), ("throw_away", {})):
        answer = client.post(url(path), told)
        assert answer.status == 422 and "Received: none" in answer.json()["error"]
    assert client.get(url("result")).status == 409
    assert files() == there


def test_a_mark_is_kept_and_its_cover_told(client, session, page):
    answer = marked(client)
    assert answer.status == 200, answer.text
    told = answer.json()
    assert 0 < told["area"] < 1 and 0 <= told["covered"] <= 1
    assert client.get(url("state")).json()["marks"]["Smiling"] == MARK
    assert json.loads(session.file.read_text())["marks"]["Smiling"] == MARK
    whole = marked(client, mark=MARK | {"template": {"presets": [], "rectangles": [[0, 0, 1, 1]], "polygons": []}})
    assert whole.json()["covered"] == pytest.approx(1) and whole.json()["area"] == 1


def test_a_change_that_another_window_made_first_is_not_overwritten(client):
    seen = marked(client).json()["seen"]
    other = {"template": {"presets": [], "rectangles": [[0, 0, 0.5, 0.5]], "polygons": []}, "images": {}}
    assert marked(client, mark=other, seen=seen).status == 200
    refused = marked(client, mark=MARK, seen=seen)
    assert refused.status == 409 and "another window" in refused.json()["error"]
    assert client.get(url("state")).json()["marks"]["Smiling"] == other


def test_an_empty_mark_is_none(client):
    nothing = {"template": {"presets": [], "rectangles": [], "polygons": []}, "images": {}}
    assert marked(client, mark=nothing).json() | {"seen": 0} == {"seen": 0, "covered": None, "area": None}
    assert "Smiling" not in client.get(url("state")).json()["marks"]


def test_a_mark_of_one_image_stands_in_the_place_of_the_one_for_all(client, page):
    found = client.get(url(f"attribute/{page.run.attributes.index('Smiling')}/own")).json()
    image = found["shown"][0]["id"]
    nothing = {"presets": [], "rectangles": [], "polygons": []}
    alone = {"template": nothing, "images": {image: {"rectangles": [[0, 0, 1, 1]], "polygons": []}}}
    told = marked(client, mark=alone).json()
    assert told["area"] == pytest.approx(1 / found["positives"])
    other = alone | {"images": {"nobody": alone["images"][image]}}
    assert marked(client, mark=other).status == 422


@pytest.mark.parametrize(
    "change",
    [
        {"attribute": "Nobody"},
        {"map": "nowhere"},
        {"seen": True},
        {"mark": MARK | {"template": {"presets": ["nose<script>"], "rectangles": [], "polygons": []}}},
        {"mark": MARK | {"template": {"presets": [], "rectangles": [[0.5, 0, 0.5, 1]], "polygons": []}}},
        {"mark": MARK | {"template": {"presets": [], "rectangles": [[0, 0, 1, 1.5]], "polygons": []}}},
        {"mark": MARK | {"template": {"presets": [], "rectangles": [], "polygons": [[[0, 0], [1, 1]]]}}},
        {"mark": MARK | {"template": {"presets": [], "rectangles": [[0, 0, 1, 1]] * 65, "polygons": []}}},
        {"mark": MARK | {"template": {"presets": [], "rectangles": [], "polygons": [[[0, 0], [1, 1], [0, 1]] * 100]}}},
    ],
)
def test_marks_that_are_none_are_refused(client, files, change):
    there = files()
    seen = client.get(url("state")).json()["seen"]["Smiling"]
    asked = {"attribute": "Smiling", "mark": MARK, "seen": seen, "map": "own"}
    assert client.post(url("mark"), told=asked | change).status == 422
    assert files() == there


def test_how_to_fine_tune_is_kept(client):
    state = client.get(url("state")).json()
    wanted = state["wanted"] | {"epochs": 2, "weights": {"Smiling": [1, 3]}}
    answer = client.post(url("want"), told={"wanted": wanted, "seen": state["seen"].get("", 0)})
    assert answer.status == 200
    assert client.get(url("state")).json()["wanted"]["weights"] == {"Smiling": [1.0, 3.0]}
    assert client.post(url("want"), told={"wanted": wanted, "seen": -1}).status == 409
    for change in ({"epochs": 0}, {"learning_rate": 0}, {"by": "x"}, {"map": "x"}, {"weights": {"Nobody": [1, 1]}}):
        asked = {"wanted": wanted | change, "seen": answer.json()["seen"]}
        assert client.post(url("want"), told=asked).status == 422


def fuzzed(random):
    """A body that is nearly one of the page's own."""
    text = "".join(random.choices(string.printable + "é\u202e\x00", k=random.randint(0, 20)))
    junk = [None, True, -1, 1e308, 10**30, text, [], {}, [[[]]], {"x": {"x": text}}, [0.1] * 5, float("nan"), "../x"]
    wanted = {"epochs": 1, "learning_rate": 0.1, "by": "iou", "map": "own", "order": "first", "weights": {}}
    own = {
        "mark": {"attribute": "Smiling", "mark": json.loads(json.dumps(MARK)), "seen": 0, "map": "own"},
        "want": {"wanted": wanted, "seen": 0},
        "train": {"carry_on": True},
        "keep": {"name": "kept"},
        "stop": {},
        "throw_away": {},
    }
    path = random.choice(list(own))
    told = own[path]
    place = told
    while isinstance(place, dict) and place and random.random() < 0.7:
        key = random.choice(list(place))
        if not isinstance(place[key], dict) or random.random() < 0.3:
            place[key] = random.choice(junk)
            break
        place = place[key]
    else:
        if isinstance(place, dict):
            place[text or "x"] = random.choice(junk)
    content = json.dumps(told).encode()
    if random.random() < 0.3:
        position = random.randrange(len(content))
        content = content[:position] + random.randbytes(random.randint(0, 3)) + content[position + 1 :]
    return path, content


def test_500_fuzzed_bodies_get_4xx_and_change_nothing(client, files):
    marked(client)  # so that "seen" of 0 is of an older state
    state = client.get(url("state")).json()
    client.post(url("want"), told={"wanted": state["wanted"], "seen": state["seen"].get("", 0)})
    generator, there = random.Random(0), files()
    statuses = []
    for _ in range(500):
        path, content = fuzzed(generator)
        answer = client.post(url(path), content=content, headers={"Content-Type": "application/json"})
        statuses.append(answer.status)
        if path == "stop" and answer.status == 200:  # nothing is training: it says so by doing nothing
            assert content == b"{}"
            continue
        assert 400 <= answer.status < 500, (path, content)
    assert files() == there
    assert {409, 422} <= set(statuses)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.com"])
def test_another_address_than_loopback_is_refused(host):
    with pytest.raises(UserError, match=rf"^--host: expected 127\.0\.0\.1: .* --expose|^--host: expected.*{host}"):
        server.listening(host, 0, expose=False)


def test_an_address_is_exposed_on_purpose_only():
    with server.listening("0.0.0.0", 0, expose=True) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"


def test_a_port_that_is_taken_is_named():
    with server.listening("127.0.0.1", 0, expose=False) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf"^--port: expected a free port of 127\.0\.0\.1\. Received: {port} "):
            server.listening("127.0.0.1", port, expose=False)
    with pytest.raises(UserError, match=r"Received: 99999$"):
        server.listening("127.0.0.1", 99999, expose=False)


def test_a_session_is_one_processs_and_a_damaged_one_is_named(before, session, tmp_path):
    wanted = Wanted(learning_rate=0.001, by="energy", map="own")
    with pytest.raises(UserError, match="another process holds it"), Session(session.folder, wanted).open():
        pass
    (tmp_path / "session.json").write_text('{"changes": 1')
    damaged = r"session\.json: expected the session of a page"
    with pytest.raises(UserError, match=damaged), Session(tmp_path, wanted).open():
        pass
    (tmp_path / "session.json").unlink()
    (tmp_path / "diary.txt").touch()
    with pytest.raises(UserError, match="a folder that holds other things"), Session(tmp_path, wanted).open():
        pass


def test_what_was_marked_is_there_when_the_server_starts_again(tmp_path):
    wanted = Wanted(learning_rate=0.001, by="energy", map="own")
    with Session(tmp_path / "s", wanted).open() as session:
        assert session.folder.exists()
    assert not session.folder.exists()  # nothing was
    with Session(tmp_path / "s", wanted).open() as session:
        session.note(kept=("one",))
    with Session(tmp_path / "s", Wanted(learning_rate=0.5, by="iou", map="own")).open() as again:
        assert (again.state.kept, again.state.wanted) == (("one",), wanted)


def test_regions_of_a_session_are_a_regions_file(client, session, page):
    marked(client)
    found = places.read(session.regions, page.run.config.data)
    assert found.attributes["Smiling"].presets == ("mouth",)
    assert settings.read(session.regions) == session.places()
