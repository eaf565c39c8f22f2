"""The page in a real browser: opened from disk, in both colour schemes, on a telephone and on a screen."""

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

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

    def open_page(size="screen", scheme="light"):
        show(browser, page, size, scheme)
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
    explorer = browser.find_element(By.CSS_SELECTOR, ".explorer")
    large = explorer.find_element(By.CSS_SELECTOR, "canvas.map")
    seen, said = [], []

    def look():
        seen.append(browser.execute_script(CANVAS, large))
        said.append(explorer.find_element(By.CSS_SELECTOR, ".answer").text)

    def changed():
        return wait(browser, lambda: browser.execute_script(CANVAS, large) != seen[-1])

    look()
    explorer.find_element(By.NAME, "attribute").send_keys(Keys.ARROW_DOWN)
    changed()
    look()
    image = explorer.find_element(By.CSS_SELECTOR, "input[name=image]:checked")
    image.send_keys(Keys.ARROW_RIGHT)  # by keyboard
    assert not image.is_selected()
    changed()
    look()
    explorer.find_elements(By.CSS_SELECTOR, "input[name=pair]")[0].send_keys(Keys.ARROW_RIGHT)
    changed()
    look()
    browser.execute_script(
        "arguments[0].value = 0; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
        explorer.find_element(By.NAME, "opacity"),
    )
    changed()
    look()
    assert len(set(seen)) == 5
    assert len(set(said)) == 4  # the opacity changes no answer
    assert "Attribute head at (0, 1) no masks" in said[3]
    assert len(explorer.find_elements(By.CSS_SELECTOR, ".channels canvas")) == 3
    assert browser.get_log("browser") == []


def test_the_explorer_shows_the_numbers_of_the_page(opened):
    browser = opened()
    explorer = browser.find_element(By.CSS_SELECTOR, ".explorer")
    data = json.loads(explorer.find_element(By.TAG_NAME, "script").get_attribute("textContent"))
    images = explorer.find_elements(By.CSS_SELECTOR, "input[name=image]")
    last = len(data["looks"]) - 1
    browser.execute_script("arguments[0].click()", images[last])
    title = explorer.find_element(By.CSS_SELECTOR, ".what")
    wait(browser, lambda: "<b>me.jpg" in title.text)
    answer = explorer.find_element(By.CSS_SELECTOR, ".answer").text
    look = data["looks"][last]
    assert "none given" in answer
    assert f"{100 * look['probabilities'][0][0]:.1f} %" in answer
    assert f"{100 * look['multi_label'][0]:.1f} %" in answer
    strongest = explorer.find_element(By.CSS_SELECTOR, ".high").text
    assert float(strongest) == pytest.approx(max(look["scales"][0]), rel=0.05)


def test_the_map_is_where_the_data_say(opened):
    """Blue where a position speaks for the attribute: the strongest position, on a grey image."""
    browser = opened()
    script = """
      const done = arguments[0];
      (async () => {
        const explorer = document.querySelector(".explorer");
        const look = JSON.parse(explorer.querySelector("script").textContent);
        const [height, width] = look.grid, first = look.looks[0];
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


def test_print_has_everything_in_full(opened):
    browser = opened()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    style = "getComputedStyle(document.querySelector(what)).display"
    hidden = browser.execute_script(f"return ['nav', '.controls', '.download'].map((what) => {style})")
    assert hidden == ["none"] * 3
    boxes = "[...document.querySelectorAll('.scroll')]"
    assert browser.execute_script(f"return {boxes}.every((box) => box.scrollHeight <= box.clientHeight + 1)")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
