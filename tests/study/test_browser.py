"""The page of a study in a real browser: from disk, in both colour schemes, on a telephone and on a screen."""

from tests.browser import WIDTHS, check_accessibility, check_width, requests, show, started
from tests.study import made_up
from tests.study.test_page import page as drawn


def test_it_asks_for_nothing_fits_and_is_accessible(tmp_path_factory):
    page = tmp_path_factory.mktemp("page") / "index.html"
    page.write_text(drawn(made_up.typical()), encoding="utf-8")
    with started(tmp_path_factory) as browser:
        for size in WIDTHS:
            for scheme in ("light", "dark"):
                show(browser, page, size, scheme)
                assert browser.get_log("browser") == []
                assert requests(browser) == [page.as_uri()]
                check_width(browser, size)
                check_accessibility(browser, scheme)
