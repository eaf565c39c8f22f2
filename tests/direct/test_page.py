"""A person's way on the page in a real browser, by mouse and by keyboard alone, from opening it to a kept run."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait
from starlette.responses import JSONResponse
from starlette.routing import Route

from mam_keras import command_line, directed
from mam_keras.run_directory import RunDirectory
from tests.browser import WIDTHS, check_accessibility, check_width, requests, show, started
from tests.direct.client import serving

command_line.import_matplotlib()

from mam_keras.direct.page import Page  # noqa: E402

ROOT = Path(__file__).parents[2]
PATIENCE = 400  # seconds for two trainings, on a machine that does much else


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory) as browser:
        yield browser


@pytest.fixture(scope="module")
def serve(before):
    """serve() -> the address of the page of the small run, served as a user does, and its process."""
    processes = []

    def start():
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "mam_keras.direct", before]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address), process.stderr.read()
        return SimpleNamespace(address=address, process=process, as_uri=lambda: address)

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def served(serve):
    return serve()


@pytest.fixture
def opened(browser, served):
    """opened(size, scheme) opens the page and returns the browser, when it has drawn."""

    def open_page(size="screen", scheme="light"):
        show(browser, served, size, scheme)
        drawn(browser)
        return browser

    return open_page


def wait(browser, condition, seconds=90):
    return WebDriverWait(browser, seconds, 0.05).until(lambda _: condition())


def one(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def drawn(browser):
    wait(browser, lambda: one(browser, "#look").get_attribute("aria-busy") == "false")


def text(browser, selector):
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", selector)


def state(browser):
    script = "fetch('state').then((answer) => answer.json()).then(arguments[0])"
    return browser.execute_async_script(script)


def settled(browser, condition, seconds=90):
    """What the server keeps, once it is as the condition says."""
    return wait(browser, lambda: (found := state(browser)) and condition(found) and found, seconds)


def template(found, name):
    """What is marked of an attribute for all images, as the server keeps it."""
    nothing = {"presets": [], "rectangles": [], "polygons": []}
    return found["marks"].get(name, {}).get("template", nothing)


def choose(browser, name):
    browser.execute_script("document.querySelector(`#attributes button[data-name='${arguments[0]}']`).click()", name)
    wait(browser, lambda: text(browser, "#look-title") == name)
    drawn(browser)


def cleared(browser, name):
    choose(browser, name)
    button = one(browser, "#clear")
    if button.is_enabled():
        browser.execute_script("arguments[0].click()", button)
    settled(browser, lambda found: name not in found["marks"])


def click(browser, selector):
    """With the mouse, once the page has come to rest there."""
    element = one(browser, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    ActionChains(browser, duration=20).move_to_element(element).click().perform()


def drag(browser, *points):
    """Over the canvas, points in fractions of it."""
    canvas = one(browser, "#canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    size, actions = canvas.size, ActionChains(browser, duration=20)
    for number, (x, y) in enumerate(points):
        where = int((x - 0.5) * size["width"]), int((y - 0.5) * size["height"])
        actions.move_to_element_with_offset(canvas, *where)
        if number == 0:
            actions.click_and_hold()
    actions.release().perform()


def click_at(browser, *points):
    canvas, actions = one(browser, "#canvas"), ActionChains(browser, duration=20)
    for x, y in points:
        where = int((x - 0.5) * canvas.size["width"]), int((y - 0.5) * canvas.size["height"])
        actions.move_to_element_with_offset(canvas, *where).click()
    actions.perform()


def press(browser, *keys):
    actions = ActionChains(browser, duration=0)
    for key in keys:
        actions.send_keys(key)
    actions.perform()


def with_modifier(browser, modifier, key, times=1):
    actions = ActionChains(browser, duration=0).key_down(modifier)
    for _ in range(times):
        actions.send_keys(key)
    actions.key_up(modifier).perform()


def tab_to(browser, wanted, most=200):
    """Presses Tab until an element has focus that a script says is the wanted one: by keyboard alone."""
    for _ in range(most):
        press(browser, Keys.TAB)
        if browser.execute_script(f"const focused = document.activeElement; return {wanted}"):
            return
    raise AssertionError(f"no Tab leads to {wanted}")


def test_it_opens_without_an_error_and_asks_this_server_alone(opened, served):
    browser = opened()
    assert browser.get_log("browser") == []
    assert all(one.startswith(served.address) for one in requests(browser))
    assert len(browser.find_elements(By.CSS_SELECTOR, "#attributes button")) == 5


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_axe_finds_no_serious_fault(opened, size, scheme):
    browser = opened(size, scheme)
    browser.execute_script("document.querySelector('#add-rectangle').click()")
    browser.execute_script("document.querySelector('#add-polygon').click()")
    settled(browser, lambda found: any(mark["template"]["polygons"] for mark in found["marks"].values()))
    check_width(browser, size)
    check_accessibility(browser, scheme)
    cleared(browser, text(browser, "#look-title"))


def test_shapes_by_mouse(opened):
    browser = opened()
    cleared(browser, "Smiling")
    drag(browser, (0.2, 0.3), (0.4, 0.5), (0.6, 0.7))
    found = settled(browser, lambda found: "Smiling" in found["marks"])
    ((left, top, right, bottom),) = template(found, "Smiling")["rectangles"]
    assert [left, top, right, bottom] == pytest.approx([0.2, 0.3, 0.6, 0.7], abs=0.02)
    drag(browser, (0.4, 0.5), (0.5, 0.5), (0.5, 0.6))  # moves it
    moved = settled(browser, lambda found: template(found, "Smiling")["rectangles"][0][0] > left + 0.05)
    assert template(moved, "Smiling")["rectangles"][0] == pytest.approx([0.3, 0.4, 0.7, 0.8], abs=0.02)
    drag(browser, (0.7, 0.8), (0.8, 0.9), (0.9, 0.9))  # by its corner
    pulled = settled(browser, lambda found: template(found, "Smiling")["rectangles"][0][2] > 0.8)
    assert template(pulled, "Smiling")["rectangles"][0] == pytest.approx([0.3, 0.4, 0.9, 0.9], abs=0.02)
    browser.execute_script("document.querySelector('[name=tool][value=polygon]').click()")
    click_at(browser, (0.1, 0.1), (0.25, 0.1), (0.1, 0.25), (0.1, 0.1))
    found = settled(browser, lambda found: template(found, "Smiling")["polygons"])
    assert len(template(found, "Smiling")["polygons"][0]) == 3
    assert "of today's map" in text(browser, "#covered")
    click(browser, "#undo")
    settled(browser, lambda found: not template(found, "Smiling")["polygons"])


def test_shapes_by_finger(opened):
    browser = opened("telephone")
    cleared(browser, "Smiling")
    canvas = one(browser, "#canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    script = "const box = arguments[0].getBoundingClientRect(); return [box.x, box.y, box.width]"
    box = browser.execute_script(script, canvas)
    for kind, at in (("touchStart", 0.2), ("touchMove", 0.3), ("touchMove", 0.6), ("touchEnd", None)):
        points = [] if at is None else [{"x": box[0] + at * box[2], "y": box[1] + at * box[2]}]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    found = settled(browser, lambda found: "Smiling" in found["marks"])
    assert template(found, "Smiling")["rectangles"][0] == pytest.approx([0.2, 0.2, 0.6, 0.6], abs=0.02)
    cleared(browser, "Smiling")


def test_numbers_are_an_equal_way(opened):
    browser = opened()
    cleared(browser, "Smiling")
    browser.execute_script("document.querySelector('#add-rectangle').click()")
    fields = browser.find_elements(By.CSS_SELECTOR, "#numbers input")
    for field, value in zip(fields, ("10", "20", "30.5", "40"), strict=True):
        field.clear()
        field.send_keys(value, Keys.TAB)
    settled(browser, lambda found: template(found, "Smiling")["rectangles"] == [[0.1, 0.2, 0.305, 0.4]])
    fields[2].clear()
    fields[2].send_keys("5", Keys.TAB)  # less than left: it says so and keeps what was
    assert browser.execute_script("return arguments[0].validationMessage", fields[2]) == "More than left, please."
    assert template(state(browser), "Smiling")["rectangles"] == [[0.1, 0.2, 0.305, 0.4]]
    cleared(browser, "Smiling")


def test_a_single_image_is_marked_alone(opened):
    browser = opened()
    cleared(browser, "Smiling")
    browser.execute_script("document.querySelector('#shown button').click()")
    image = one(browser, "#place").get_attribute("value")
    browser.execute_script("document.querySelector('#add-rectangle').click()")
    found = settled(browser, lambda found: "Smiling" in found["marks"])["marks"]["Smiling"]
    assert list(found["images"]) == [image] and found["template"]["rectangles"] == []
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#shown li.marked"))
    click(browser, "#undo")
    settled(browser, lambda found: "Smiling" not in found["marks"])


def test_two_windows_do_not_tread_on_each_other(opened, browser):
    opened()
    cleared(browser, "Smiling")
    first = browser.current_window_handle
    browser.switch_to.new_window("window")
    try:
        second = browser.current_window_handle
        opened()
        choose(browser, "Smiling")
        browser.execute_script("document.querySelector('#add-rectangle').click()")
        settled(browser, lambda found: "Smiling" in found["marks"])
        browser.switch_to.window(first)
        wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#shapes rect"))  # it is told
        browser.execute_script("page.takeUp = async () => {}")  # and now it is not, and changes it all the same
        browser.switch_to.window(second)
        browser.execute_script("document.querySelector('#add-rectangle').click()")
        settled(browser, lambda found: len(template(found, "Smiling")["rectangles"]) == 2)
        browser.switch_to.window(first)
        browser.execute_script("delete page.takeUp; document.querySelector('#add-polygon').click()")
        wait(browser, lambda: "another window" in text(browser, "#problem"))
        wait(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#shapes rect")) == 2)
        assert template(state(browser), "Smiling")["polygons"] == []
    finally:
        browser.switch_to.window(second)
        browser.close()
        browser.switch_to.window(first)
    cleared(browser, "Smiling")


def test_by_mouse_from_opening_to_a_kept_run(opened, served, before, browser):
    opened()
    cleared(browser, "Smiling")
    drag(browser, (0.3, 0.5), (0.5, 0.6), (0.7, 0.8))
    settled(browser, lambda found: "Smiling" in found["marks"])
    Select(one(browser, "#by")).select_by_value("iou")
    settled(browser, lambda found: found["wanted"]["by"] == "iou")
    click(browser, "#start")
    wait(browser, lambda: one(browser, "#progress").is_displayed())
    assert not one(browser, "#start").is_enabled()
    opened()  # reloaded while it trains
    wait(browser, lambda: one(browser, "#progress").is_displayed())
    refused = browser.execute_async_script(
        "fetch('train', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{\"carry_on\": false}'})"
        ".then((answer) => answer.json().then((told) => arguments[0]([answer.status, told.error])))"
    )
    assert refused[0] == 422 and "Received: training" in refused[1]
    wait(browser, lambda: one(browser, "#result").is_displayed(), PATIENCE)
    rows = [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#compared tbody tr")]
    assert any(row.startswith("share of the map in the region") for row in rows)
    assert any(row.startswith("with Smiling, without ") for row in rows)
    assert any(row.startswith("mean of 4") for row in rows)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#compared .stack")) % 3 == 0
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
        check_accessibility(browser, scheme)
    name = one(browser, "#name")
    assert name.get_attribute("value") == "small-directed"
    name.clear()
    name.send_keys("by-mouse")
    click(browser, "#keeping button.main")
    wait(browser, lambda: "by-mouse" in text(browser, "#kept"))
    kept, told = RunDirectory(before.with_name("by-mouse")), directed.read(before.with_name("by-mouse"))
    assert kept.finished and RunDirectory(told.control).finished
    assert told.attributes == ("Smiling",) and told.settings["loss.localisation_by"] == "iou"
    assert told.before.resolve() == before.resolve() and told.unchanged
    assert browser.get_log("browser") == [] or all("422" in entry["message"] for entry in browser.get_log("browser"))


def test_by_keyboard_alone_from_opening_to_a_kept_run(opened, before, browser):
    """Stopped and carried on in between, one try thrown away before."""
    opened()
    cleared(browser, "Smiling")
    opened()
    tab_to(browser, "focused.dataset.name === 'Eyeglasses'")
    press(browser, Keys.ENTER)
    wait(browser, lambda: text(browser, "#look-title") == "Eyeglasses")
    drawn(browser)
    tab_to(browser, "focused.value === 'eyes'")
    press(browser, Keys.SPACE)
    settled(browser, lambda found: template(found, "Eyeglasses")["presets"] == ["eyes"])
    tab_to(browser, "focused.id === 'add-rectangle'")
    press(browser, Keys.ENTER)
    settled(browser, lambda found: template(found, "Eyeglasses")["rectangles"] == [[0.35, 0.35, 0.65, 0.65]])
    press(browser, Keys.ARROW_LEFT, Keys.ARROW_UP)
    with_modifier(browser, Keys.SHIFT, Keys.ARROW_RIGHT, 2)
    expected = pytest.approx([0.34, 0.34, 0.66, 0.64])
    settled(browser, lambda found: template(found, "Eyeglasses")["rectangles"] == [expected])
    press(browser, Keys.DELETE)
    settled(browser, lambda found: template(found, "Eyeglasses")["rectangles"] == [])
    tab_to(browser, "focused.id === 'undo'")
    press(browser, Keys.ENTER)
    settled(browser, lambda found: template(found, "Eyeglasses")["rectangles"] == [expected])
    tab_to(browser, "focused.id === 'epochs'")
    press(browser, Keys.ARROW_UP)
    settled(browser, lambda found: found["wanted"]["epochs"] == 2)
    tab_to(browser, "focused.id === 'start'")
    press(browser, Keys.ENTER)
    wait(browser, lambda: one(browser, "#stop").is_displayed())
    tab_to(browser, "focused.id === 'stop'")
    press(browser, Keys.ENTER)
    wait(browser, lambda: text(browser, "#training").startswith("Stopped."))
    tab_to(browser, "focused.id === 'carry-on'")
    press(browser, Keys.ENTER)
    wait(browser, lambda: one(browser, "#result").is_displayed(), PATIENCE)
    tab_to(browser, "focused.id === 'name'")
    with_modifier(browser, Keys.CONTROL, "a")
    press(browser, "by-keyboard", Keys.ENTER)
    wait(browser, lambda: "by-keyboard" in text(browser, "#kept"))
    told = directed.read(before.with_name("by-keyboard"))
    assert told.attributes == ("Eyeglasses",) and told.settings["training.epochs"] == 2
    cleared(browser, "Eyeglasses")


HOSTILE = ("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "a\u202eb\"'`${alert(3)}")


@pytest.fixture
def hostile():
    """The page of a made-up run whose names are markup."""
    leaning = {"accuracy": 0.5, "ratio": 0.5, "together": 0.5, "worst": 0.1, "without": HOSTILE[0], "lost": 0.4}
    attributes = [{"k": k, "name": name, "other": HOSTILE[0], **leaning} for k, name in enumerate(HOSTILE)]
    about = {"name": HOSTILE[0], "split": "validation", "images": 5, "attributes": attributes}
    about |= {"presets": {HOSTILE[1]: [[0, 0, 1, 1]]}, "maps": ["own", HOSTILE[0]], "weights": [1, 5]}
    shapes = {"rectangles": [[0, 0, 1, 1]], "polygons": []}
    mark = {"template": shapes | {"presets": [HOSTILE[1]]}, "images": {HOSTILE[1]: shapes}}
    wanted = {"epochs": 1, "learning_rate": 0.1, "by": "iou", "map": "own", "order": "first", "weights": {}}
    trial = {"state": "failed", "why": HOSTILE[1], "attributes": [], "settings": {}}
    told = {"changes": 1, "marks": dict.fromkeys(HOSTILE, mark), "seen": {}, "wanted": wanted, "trial": trial}
    told |= {"kept": list(HOSTILE), "tried": 0}
    shown = [{"id": name, "picture": "data:,", "map": "data:,"} for name in HOSTILE]
    looked = {"template": "data:,", "heat": "data:,", "shown": shown, "positives": 3, "covered": 0.5, "area": 0.5}
    looked |= {"confusion": [[1, 2], [3, 4]], "groups": [[HOSTILE[0], 3, 0.5]]}
    answers = {"/about": about, "/state": told, "/attribute/{k:int}/{map}": looked}

    def answering(found):
        async def answer(_):
            return JSONResponse(found)

        return answer

    bare = object.__new__(Page)
    faces = SimpleNamespace(data=SimpleNamespace(is_celeba=True))
    bare.run = SimpleNamespace(directory=SimpleNamespace(path=Path(f"/{HOSTILE[1]}")), config=faces)
    routes = [Route(path, answering(found)) for path, found in answers.items()]
    routes += [Route("/", bare.html), Route("/page.css", bare.style), Route("/page.js", bare.script)]
    with serving(routes, "token") as client:
        yield SimpleNamespace(as_uri=lambda: f"http://{client.address}/token/")


def test_names_that_are_markup_are_text(browser, hostile):
    show(browser, hostile, "screen", "light")
    drawn(browser)
    assert text(browser, "#attributes button").startswith(HOSTILE[0])
    assert HOSTILE[1] in text(browser, "#training") and HOSTILE[1] in text(browser, "h1")
    assert browser.execute_script("return document.querySelectorAll('script, img[src=x], [onerror]').length") == 1
    assert browser.get_log("browser") == []


def test_a_server_that_was_killed_is_started_again_and_nothing_is_lost(serve, served, browser, before):
    show(browser, served, "screen", "light")
    drawn(browser)
    choose(browser, "Smiling")
    browser.execute_script("document.querySelector('#add-rectangle').click()")
    there = settled(browser, lambda found: "Smiling" in found["marks"])
    served.process.kill()
    served.process.wait()
    wait(browser, lambda: "does not answer" in text(browser, "#problem"))
    again = serve()
    show(browser, again, "screen", "light")
    drawn(browser)
    assert state(browser)["marks"] == there["marks"]
    assert [path.name for path in before.parent.iterdir() if path.name.startswith(".")] == []
