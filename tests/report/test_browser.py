"""The page in a real browser: from disk, in both colour schemes, on a telephone and a screen; any explorer."""

import json
from types import SimpleNamespace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from mam_keras.analysis import examples
from mam_keras.report.page import Front, render
from mam_keras.report.sections import explorer
from tests.analysis import untrained
from tests.browser import WIDTHS, check_accessibility, check_width, requests, show, started, wait
from tests.export import encoded


@pytest.fixture(scope="module")
def page(analysed, copied, reported, tmp_path_factory):
    """The small run's page, with a photograph of the user's: a file."""
    album, file = tmp_path_factory.mktemp("album"), tmp_path_factory.mktemp("page") / "index.html"
    (album / "<b>me.jpg").write_bytes(encoded.sound()["jpeg"])
    file.write_text(reported(copied(analysed[0]), images=album), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with started(tmp_path_factory) as browser:
        yield browser


@pytest.fixture
def opened(browser, page):
    """opened(size, scheme) opens the page and returns the browser, when the explorer has drawn."""

    def open_page(size="screen", scheme="light", folded=False):
        show(browser, page, size, scheme)
        if folded:
            return browser
        browser.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
        wait(browser, lambda: browser.find_element(By.CSS_SELECTOR, ".answer .what").text)
        return browser

    return open_page


def test_it_opens_from_disk_with_no_error_and_no_request(opened, page):
    browser = opened()
    assert browser.get_log("browser") == []
    assert requests(browser) == [page.as_uri()]


@pytest.mark.parametrize("size", WIDTHS)
def test_nothing_scrolls_sideways_but_what_has_its_own_box(opened, size):
    check_width(opened(size), size)


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(opened, scheme, size):
    check_accessibility(opened(size, scheme), scheme)


@pytest.mark.parametrize("size", WIDTHS)
def test_the_folded_page_is_short_and_without_fault(opened, size):
    browser = opened(size, folded=True)
    check_width(browser, size)
    check_accessibility(browser, "light")
    height = browser.execute_script("return document.documentElement.scrollHeight / innerHeight")
    assert height < {"screen": 5, "telephone": 8}[size]  # screens


def test_a_link_opens_what_it_leads_into_and_no_link_leads_nowhere(opened):
    browser = opened(folded=True)
    for link in browser.find_elements(By.CSS_SELECTOR, ".answers-first a, nav a"):
        target = browser.find_element(By.CSS_SELECTOR, "#" + link.get_attribute("href").split("#")[1])
        browser.execute_script("arguments[0].click()", link)
        wait(browser, target.is_displayed)


def test_a_target_is_found_by_its_name_and_opens(opened):
    browser = opened(folded=True)
    browser.find_element(By.ID, "search").send_keys("eye gl")
    (found,) = [one for one in browser.find_elements(By.CSS_SELECTOR, ".target") if one.is_displayed()]
    assert found.get_attribute("data-target") == "Eyeglasses" and found.get_attribute("open")
    assert "Answers" in found.text and "1 of 5" in browser.find_element(By.CSS_SELECTOR, ".search").text


def test_the_address_keeps_what_the_explorer_shows(opened, page, browser):
    browser = opened()
    place = browser.find_element(By.CSS_SELECTOR, ".explorer")
    choose(browser, place, "target", 2)
    choose(browser, place, "map", 1)
    choose(browser, place, "image", 3)
    address, said = browser.current_url, text(place, ".answer")
    assert "#explorer?target=" in address
    browser.get("about:blank")
    browser.get(address)
    place = browser.find_element(By.CSS_SELECTOR, ".explorer")
    wait(browser, lambda: text(place, ".answer .what"))
    assert text(place, ".answer") == said
    assert place.find_element(By.NAME, "map").get_attribute("value") == "1"
    assert browser.get_log("browser") == []


def test_pictures_are_kept_beside_each_other_until_they_are_taken_away(opened):
    browser = opened()
    place = browser.find_element(By.CSS_SELECTOR, ".explorer")
    for target in (0, 1):
        choose(browser, place, "target", target)
        browser.execute_script("arguments[0].click()", place.find_element(By.CSS_SELECTOR, ".keep"))
    kept = place.find_elements(By.CSS_SELECTOR, ".kept li")
    sources = [one.find_element(By.TAG_NAME, "img").get_attribute("src") for one in kept]
    assert len(set(sources)) == 2 and all("Label" in one.text for one in kept)
    browser.execute_script("arguments[0].click()", kept[0].find_element(By.TAG_NAME, "button"))
    assert len(place.find_elements(By.CSS_SELECTOR, ".kept li")) == 1
    check_accessibility(browser, "light")


def test_a_wide_table_shows_all_its_columns_on_a_screen(opened):
    browser = opened()
    cut = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1)"
    assert browser.execute_script(f"return {cut}.map((one) => one.closest('figure').id)") == []


def column(table, place):
    return [
        row.find_elements(By.CSS_SELECTOR, "th, td")[place].text
        for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")
    ]


def test_tables_sort_by_mouse_and_by_keyboard(opened):
    browser = opened()
    table = browser.find_element(By.CSS_SELECTOR, "#figure-masks-statistics table")
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    before, numbers = column(table, 0), [float(text) for text in column(table, 1)]
    button = heads[1].find_element(By.TAG_NAME, "button")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
    button.click()
    assert heads[1].get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(table, 1)] == sorted(numbers, reverse=True)
    button.send_keys(Keys.ENTER)
    assert heads[1].get_attribute("aria-sort") == "ascending"
    assert [float(text) for text in column(table, 1)] == sorted(numbers)
    heads[0].find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert heads[1].get_attribute("aria-sort") is None
    assert column(table, 0) == sorted(before)


def test_undefined_cells_go_last_in_both_directions(opened):
    browser = opened()
    script = """
      const [table] = document.querySelectorAll("#figure-masks-statistics table");
      const cells = [...table.tBodies[0].rows].map((row) => row.cells[2]);
      [[0, null], [1, -3], [2, 10], [3, null], [4, 9]].forEach(([row, value]) => {
        cells[row].textContent = value;
        if (value === null) delete cells[row].dataset.order; else cells[row].dataset.order = value;
      });
      return [1, 2].map(() => {
        table.tHead.rows[0].cells[2].querySelector("button").click();
        return [...table.tBodies[0].rows].map((row) => row.cells[2].textContent);
      });"""
    assert browser.execute_script(script) == [["10", "9", "-3", "", ""], ["-3", "9", "10", "", ""]]


def test_every_table_can_be_had_as_csv(opened):
    browser = opened()
    tables, links = (browser.find_elements(By.CSS_SELECTOR, what) for what in (".table", "a.download"))
    assert len(tables) == len(links) > 8
    script = "return fetch === undefined ? 0 : decodeURIComponent(arguments[0].href.split(',').slice(1).join(','))"
    for table, link in zip(tables, links, strict=True):
        rows = browser.execute_script(script, link).splitlines()
        assert len(rows) == 1 + len(table.find_elements(By.CSS_SELECTOR, "tbody tr"))
        assert link.get_attribute("download").endswith(".csv")


CANVAS = "return arguments[0].toDataURL()"


def test_the_explorer_changes_what_it_shows(opened):
    browser = opened()
    place = browser.find_element(By.CSS_SELECTOR, ".explorer")
    large = place.find_element(By.CSS_SELECTOR, "canvas.map")
    seen, said = [], []

    def look():
        seen.append(browser.execute_script(CANVAS, large))
        said.append(place.find_element(By.CSS_SELECTOR, ".answer").text)

    def changed():
        return wait(browser, lambda: browser.execute_script(CANVAS, large) != seen[-1])

    look()
    place.find_element(By.NAME, "target").send_keys(Keys.ARROW_DOWN)
    changed()
    look()
    image = place.find_element(By.CSS_SELECTOR, "input[name=image]:checked")
    image.send_keys(Keys.ARROW_RIGHT)  # by keyboard
    assert not image.is_selected()
    changed()
    look()
    place.find_elements(By.CSS_SELECTOR, "input[name=pair]")[0].send_keys(Keys.ARROW_RIGHT)
    changed()
    look()
    browser.execute_script(
        "arguments[0].value = 0; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
        place.find_element(By.NAME, "opacity"),
    )
    changed()
    look()
    assert len(set(seen)) == 5
    assert len(set(said)) == 4  # the opacity changes no answer
    assert "Attribute heads at (0, 1) no masks" in said[3]
    assert len(place.find_elements(By.CSS_SELECTOR, ".channels canvas")) == 3
    assert browser.get_log("browser") == []


def test_the_explorer_shows_the_numbers_of_the_page(opened):
    browser = opened()
    place = browser.find_element(By.CSS_SELECTOR, ".explorer")
    data = json.loads(place.find_element(By.TAG_NAME, "script").get_attribute("textContent"))
    images = place.find_elements(By.CSS_SELECTOR, "input[name=image]")
    last = len(data["looks"]) - 1
    browser.execute_script("arguments[0].click()", images[last])
    title = place.find_element(By.CSS_SELECTOR, ".what")
    wait(browser, lambda: "<b>me.jpg" in title.text)
    answer = place.find_element(By.CSS_SELECTOR, ".answer").text
    look = data["looks"][last]
    assert "none given" in answer
    assert f"{100 * look['probabilities'][0][0]:.1f} %" in answer
    assert f"{100 * look['others'][0][0]:.1f} %" in answer
    strongest = place.find_element(By.CSS_SELECTOR, ".high").text
    assert float(strongest.removesuffix(" for")) == pytest.approx(max(look["scales"][0][0]), rel=0.05)


def test_the_map_is_where_the_data_say(opened):
    """Blue where a position speaks for the attribute: the strongest position, on a grey image."""
    browser = opened()
    script = """
      const done = arguments[0];
      (async () => {
        const explorer = document.querySelector(".explorer");
        const look = JSON.parse(explorer.querySelector("script").textContent);
        const [height, width] = look.maps[0].size.slice(2), first = look.looks[0];
        const bytes = Uint8Array.from(atob(first.packed), (letter) => letter.charCodeAt(0));
        const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
        const map = new Int8Array(await new Response(stream).arrayBuffer(), 0, height * width);
        const best = map.indexOf(Math.max(...map)), worst = map.indexOf(Math.min(...map));
        const canvas = explorer.querySelector("canvas.map"), side = canvas.width / width;
        const pixel = (position) => [...canvas.getContext("2d").getImageData(
          (position % width + 0.5) * side, (Math.floor(position / width) + 0.5) * side, 1, 1).data];
        done([Math.max(...map), Math.min(...map), pixel(best), pixel(worst)]);
      })();"""
    highest, lowest, blue, orange = browser.execute_async_script(script)
    assert highest > 0 > lowest
    assert blue[2] > blue[0] + 10 or highest < 5
    assert orange[0] > orange[2] + 10 or lowest > -5


def of(model, **arguments):
    """A page of an explorer alone, of a network that was never trained."""
    run = untrained.run(("Smiling", "Hat", "Bangs"), **model, **arguments)
    results = {"examples": examples.compute(run, "test")}
    section = explorer.section(SimpleNamespace(results=results, missing={}), [])
    front = Front("small", "Small", "", [], "", "", "")
    return results["examples"], render(front, {"": [section]})


@pytest.fixture
def explored(browser, tmp_path):
    """explored(model) opens the explorer of a system: what it found, and the explorer's element."""

    def explore(model, scheme="light", size="screen", **arguments):
        found, text = of(model, **arguments)
        (tmp_path / "index.html").write_text(text, encoding="utf-8")
        show(browser, tmp_path / "index.html", size, scheme)
        wait(browser, lambda: browser.find_element(By.CSS_SELECTOR, ".answer .what").text)
        return found, browser.find_element(By.CSS_SELECTOR, ".explorer")

    return explore


def text(element, selector):
    return element.find_element(By.CSS_SELECTOR, selector).text


def choose(browser, place, name, value):
    """As a person does, but for the pointer; returns when the explorer has drawn."""
    element = place.find_element(By.CSS_SELECTOR, f"select[name={name}], input[name={name}][value='{value}']")
    change = "element.type === 'radio' ? element.checked = true : element.value = value"
    browser.execute_script(f"const [element, value] = arguments; {change}", element, value)
    drawn = "const [element, done] = arguments; element.dispatchEvent(new Event('input', {bubbles: true}));"
    browser.execute_async_script(f"{drawn} setTimeout(done, 200)", element)


def set_slider(browser, slider, value):
    """Moves it; returns when the explorer has drawn."""
    script = "const [slider, value, done] = arguments; slider.value = value;"
    script += "slider.dispatchEvent(new Event('input', {bubbles: true})); setTimeout(done, 200)"
    browser.execute_async_script(script, slider, value)


SYSTEMS = [{}, {"perception": "stage"}, {"system": "plain"}, {"system": "attention_branch", "maps": "one"}]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("model", SYSTEMS)
def test_every_map_of_a_system_can_be_chosen_and_says_what_it_is(browser, explored, model, exclusive):
    found, place = explored(model, exclusive=exclusive)
    maps, answers = found.values["maps"], found.arrays["answers"]
    assert text(place, "label[for$=target]") == ("Class" if exclusive else "Attribute")
    assert len(place.find_elements(By.CSS_SELECTOR, ".pairs label")) == len(found.values["pairs"])
    having = max(found.arrays["labels"][:, 0].argmax(), 0)
    drawn, deep = set(), [index for index, name in enumerate(maps) if name.startswith("depth.")]
    for index, (name, one) in enumerate(maps.items()):
        if index in deep:  # one of the choices, and a slider from low to high
            choose(browser, place, "map", deep[0])
            slider = place.find_element(By.NAME, "depth")
            assert slider.is_displayed()
            set_slider(browser, slider, index - deep[0])
            assert text(place, ".about").startswith(f"{one['title']}.") and slider.get_attribute("aria-valuetext")
        else:
            choose(browser, place, "map", index)
            assert not any(control.is_displayed() for control in place.find_elements(By.NAME, "depth"))
        drawn.add(browser.execute_script(CANVAS, place.find_element(By.CSS_SELECTOR, "canvas.map")))
        assert one["note"] in text(place, ".about")
        assert (" against" in text(place, ".low")) == one["signed"] == (" for" in text(place, ".high"))
        largest = found.arrays[f"scale.{name}"][having, 0].max()
        assert float(text(place, ".high").removesuffix(" for")) == pytest.approx(largest, rel=0.05, abs=1e-9)
        serves_all = found.arrays[f"map.{name}"].shape[1] == 1
        assert ("One map for all 3" in text(place, ".about")) == serves_all
        paired = found.arrays[f"map.{name}"].shape[2] > 1
        shown = [canvas.is_displayed() for canvas in place.find_elements(By.CSS_SELECTOR, ".pairs canvas")]
        assert shown == [paired] * len(found.values["pairs"])
        for target in range(3):
            choose(browser, place, "target", target)
            said, yes = text(place, ".answer"), answers[having, target, 0]
            assert ("blue is what speaks for it" in said) == (one["signed"] and yes)
            assert ("orange is what speaks for" in said) == (one["signed"] and not yes)
            assert ("there is no map of it" in said) == (not one["signed"] and not yes)
            if exclusive:
                assert found.values["attributes"][answers[having, :, 0].argmax()] in said.split("Answer")[1]
        choose(browser, place, "target", 0)
    same = bool(deep) and "grad_cam" in maps  # the last stage's may be the network's own
    assert len(drawn) >= len(maps) - same
    masked = "masks" in found.arrays
    assert len(place.find_elements(By.CSS_SELECTOR, ".channels canvas")) == (3 if masked else 0)
    assert place.find_element(By.CSS_SELECTOR, ".channels").is_displayed() == ("channels" in found.arrays)
    assert browser.get_log("browser") == []


def test_what_a_pair_answers_is_what_speaks(browser, explored):
    found, place = explored({})
    having, answers = found.arrays["labels"][:, 0].argmax(), found.arrays["answers"]
    for pair in range(len(found.values["pairs"])):
        choose(browser, place, "pair", pair)
        yes = answers[having, 0, pair]
        assert ("blue is what speaks for it" in text(place, ".speaks")) == yes
        probability = found.arrays["probabilities"][having, 0, pair]
        assert f"{100 * probability:.1f} %" in text(place, ".answer dl")


def test_a_label_that_is_not_known_is_called_so(browser, tmp_path):
    run = untrained.run(("Smiling", "Hat"))
    found = examples.compute(run, "test")
    found.arrays["labels"][:, 1], found.arrays["known"][:, 1] = False, False
    section = explorer.section(SimpleNamespace(results={"examples": found}, missing={}), [])
    (tmp_path / "index.html").write_text(render(Front("a", "A", "", [], "", "", ""), {"": [section]}), encoding="utf-8")
    show(browser, tmp_path / "index.html", "screen", "light")
    place = browser.find_element(By.CSS_SELECTOR, ".explorer")
    choose(browser, place, "target", 1)
    assert text(place, ".answer dd") == "not known"


@pytest.mark.parametrize(("scheme", "size"), [("light", "telephone"), ("dark", "screen")])
@pytest.mark.parametrize("model", SYSTEMS[1:])
def test_axe_finds_no_serious_fault_in_any_systems_explorer(browser, explored, model, scheme, size):
    explored(model, scheme, size)
    check_width(browser, size)
    check_accessibility(browser, scheme)


def test_print_has_everything_in_full(opened):
    browser = opened()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    style = "getComputedStyle(document.querySelector(what)).display"
    hidden = browser.execute_script(f"return ['.search', '.controls', '.download'].map((what) => {style})")
    assert hidden == ["none"] * 3
    sizes = (
        "['.interval', 'td.number'].map((what) => parseFloat(getComputedStyle(document.querySelector(what)).fontSize))"
    )
    interval, value = browser.execute_script(f"return {sizes}")
    assert interval < value
    boxes = "[...document.querySelectorAll('.scroll')]"
    assert browser.execute_script(f"return {boxes}.every((box) => box.scrollHeight <= box.clientHeight + 1)")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def test_paper_has_what_is_folded_and_the_contents(opened):
    browser = opened(folded=True)
    seen = (
        "return [...document.querySelectorAll('section, .view, nav li')].filter((one) => !one.checkVisibility()).length"
    )
    assert browser.execute_script(seen) > 10
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert browser.execute_script(seen) == 0
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
