"""A report in Chromium: search, map, sorting, keyboard, narrow, dark, and the rules of axe."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import CHROMIUM, DRIVER, Browser, emulate, open_browser
from pages import EVIL, data, table, tuned
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

import finetune_embed as fe
from finetune_embed.reporting import word_map
from finetune_embed.reporting.word_map import NEIGHBOURS

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="chromium and chromedriver are not installed (Debian: chromium chromium-driver)",
    ),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def run() -> fe.Run:
    return tuned()


@pytest.fixture(scope="module")
def page(run: fe.Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    fe.report(run, path, dataset=data(), against=tuned("Freeze"))
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser with an empty profile."""
    browser = open_browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture
def show(chromium: Browser, page: str) -> Iterator[Callable[..., Browser]]:
    """Open the report in a window of a width, light or dark; afterwards, look for errors."""

    def _show(width: int = 1200, dark: bool = False) -> Browser:
        emulate(chromium, width, 900, dark)
        chromium.get(page)
        return chromium

    yield _show
    assert chromium.get_log("browser") == []
    events = [json.loads(one["message"])["message"] for one in chromium.get_log("performance")]
    asked = [one["params"]["request"]["url"] for one in events if "requestWillBeSent" in str(one)]
    assert set(asked) == {page}


def find(browser: Browser, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser: Browser, selector: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)"
    return list(browser.execute_script(script, selector))


def frame(browser: Browser) -> str:
    """Return the picture of the map once it is drawn."""
    script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => "
    script += "done(document.getElementById('map').toDataURL())));"
    return str(browser.execute_async_script(script))


def test_search_shows_the_neighbours_before_and_after(
    show: Callable[..., Browser], run: fe.Run
) -> None:
    browser = show()
    word = find(browser, "#word")
    word.send_keys("goo")
    assert texts(browser, "#matches li")[0] == "good"
    assert word.get_attribute("aria-expanded") == "true"
    word.send_keys(Keys.ENTER)
    assert find(browser, "#card h3").text == "good"
    for number, of in ((1, table()), (2, run.table)):
        expected = [near for near, _ in of.most_similar("good", topn=8)]
        assert texts(browser, f"#card .pair div:nth-child({number}) li button") == expected
    lost = set(texts(browser, "#card li.gone button"))
    before, after = (dict(of.most_similar("good", topn=8)) for of in (table(), run.table))
    assert lost == set(before) - set(after)
    find(browser, "#card li button").click()
    assert browser.switch_to.active_element.text == next(iter(before))
    word.clear()
    word.send_keys("no such word")
    assert find(browser, "#found").text == "No word of this page matches."
    word.clear()
    word.send_keys("</script", Keys.ENTER)
    assert find(browser, "#card h3").text == EVIL


def test_the_map_answers_the_mouse(show: Callable[..., Browser], run: fe.Run) -> None:
    browser = show()
    canvas, tip = find(browser, "#map"), find(browser, "#tip")
    frame(browser)
    for x, y in ((x, y) for y in range(-120, 121, 30) for x in range(-150, 151, 30)):
        ActionChains(browser, 0).move_to_element_with_offset(canvas, x, y).perform()
        if tip.is_displayed():
            break
    word = tip.text.rpartition(": moved")[0] or tip.text
    assert word in run.table
    ActionChains(browser, 0).click().perform()
    assert find(browser, "#card h3").text == word
    before = frame(browser)
    ActionChains(browser, 0).click_and_hold().move_by_offset(40, 20).release().perform()
    moved = frame(browser)
    assert moved != before
    assert find(browser, "#card h3").text == word  # a drag selects nothing
    find(browser, "#whole").click()
    whole = frame(browser)
    assert whole == before
    find(browser, "#when").send_keys(Keys.HOME)
    assert frame(browser) != whole


def test_columns_sort(show: Callable[..., Browser]) -> None:
    browser = show()
    table = find(browser, "#words table.sortable")
    head = table.find_elements(By.CSS_SELECTOR, "thead th")[1]
    button = head.find_element(By.CSS_SELECTOR, "button")
    cells = "#words table.sortable tbody tr td:nth-child(2)"
    for order in ("descending", "ascending"):
        button.click()
        assert head.get_attribute("aria-sort") == order
        found = [int(one) for one in texts(browser, cells)]
        assert found == sorted(found, reverse=order == "descending")
    table.find_element(By.CSS_SELECTOR, "thead th:first-child button").click()
    words = texts(browser, "#words table.sortable tbody th")
    script = "return [...arguments[0]].sort((a, b) => a.localeCompare(b))"
    assert words == browser.execute_script(script, words)
    assert head.get_attribute("aria-sort") is None


def test_the_keyboard_alone_is_enough(show: Callable[..., Browser]) -> None:
    browser = show()
    press = lambda *keys: ActionChains(browser, 0).send_keys(*keys).perform()  # noqa: E731
    press(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the report"
    assert browser.switch_to.active_element.rect["x"] >= 0
    press(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "main"
    visited = []
    for _ in range(80):
        press(Keys.TAB)
        element = browser.switch_to.active_element
        visited.append(element.get_attribute("id") or element.tag_name)
        assert browser.execute_script(
            "return getComputedStyle(arguments[0]).outlineStyle !== 'none'", element
        ), visited
        if visited[-1] == "word":
            press("w1")
            second = texts(browser, "#matches li")[1]
            press(Keys.ARROW_DOWN, Keys.ENTER)
            assert find(browser, "#card h3").text == second
        if visited[-1] == "map":
            before = frame(browser)
            press(Keys.ARROW_LEFT, "+")
            assert frame(browser) != before
            press("0")
            assert frame(browser) == before
        if visited[-1] == "whole":
            break
    assert {"summary", "button", "word", "map", "when", "closer", "whole"} <= set(visited)


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, True)])
def test_narrow_dark_and_accessible(show: Callable[..., Browser], width: int, dark: bool) -> None:
    browser = show(width, dark)
    frame(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    color = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert color == ("rgb(17, 22, 28)" if dark else "rgb(255, 255, 255)")
    pixels = "const c = document.getElementById('map'); return new Set(new Uint32Array(c.getContext"
    pixels += "('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    assert browser.execute_script(pixels) > 20
    for one in browser.find_elements(By.CSS_SELECTOR, "summary"):
        one.click()
    browser.execute_script(resources.files("axe_core_python").joinpath("axe.min.js").read_text())
    found: dict[str, Any] = browser.execute_async_script("axe.run().then(arguments[0])")
    wrong = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
    assert wrong == []
    assert len(found["passes"]) > 20


def test_a_page_of_many_words_opens(
    chromium: Browser, run: fe.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """50,000 words are read from their base64 and shown; the time is printed, not judged."""
    words = [f"word{number}" for number in range(50_000)]
    near = np.random.default_rng(1).integers(0, len(words), (len(words), NEIGHBOURS))
    monkeypatch.setattr(word_map, "_neighbours", lambda *_: (near, np.zeros(near.shape)))
    many = fe.EmbeddingTable(words, np.random.default_rng(0).normal(size=(50_000, 4)))
    fe.report(replace(run, table=many, drift=None), tmp_path / "many.html")
    assert (tmp_path / "many.html").stat().st_size < 8_000_000
    started = time.perf_counter()
    chromium.get((tmp_path / "many.html").as_uri())
    find(chromium, "#word").send_keys("word49999", Keys.ENTER)
    print(f"{time.perf_counter() - started:.1f} s")
    assert find(chromium, "#card h3").text == "word49999"
    assert chromium.get_log("browser") == []
