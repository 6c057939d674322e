"""``report.html`` in a real browser, from disk, with the network off."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from survey.exports.report import write_report
from survey.exports.report_map import Thumbnail
from survey.provenance import run_record
from tests.exports.example_result import NAMES, a_result
from tests.real.browser import PROGRAM, Browser

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(PROGRAM is None, reason="needs Chromium: apt-get install chromium"),
]
HOSTILE = "<img src=x onerror=alert(1)>"


def png(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    return cv2.imencode(".png", noise)[1].tobytes()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    tables = a_result()
    tables["districts"]["district_name"] = [HOSTILE, NAMES[1]]
    tables["hazard_objects"]["image"] = "</script><script>alert(2)</script>"
    tables["hazard_areas"]["method_primary"] = '"><svg onload=alert(3)>'
    when = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    record = run_record(
        {"run_id": "0123456789abcdef"}, (when, when), {"note": HOSTILE}, [{"path": "a.tif"}],
        name=HOSTILE, model={"card": HOSTILE}, problems=[{"image": HOSTILE, "reason": "no CRS"}],
    )  # fmt: skip
    chips = {f"hazard_objects-{i}": png(i) for i in range(3)}
    picture = Thumbnail(png(9), 47.0995, 39.5995, 47.105, 39.606)
    write_report(folder / "report.html", tables, record, chips=chips, thumbnails=[picture])
    browser = Browser(folder / "profile")
    browser.open(folder / "report.html")
    yield browser, folder
    browser.close()


def test_no_error_no_request_nothing_runs(page):
    browser, folder = page
    assert browser.trouble == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [(folder / "report.html").as_uri()]
    assert browser.ask("document.querySelectorAll('img[src=x], svg[onload]').length") == 0
    assert browser.ask("document.querySelector('h1').textContent") == HOSTILE
    assert HOSTILE in browser.ask("document.querySelector('#districts tbody').textContent")


def test_the_table_has_the_right_numbers(page):
    browser, _ = page
    cells = browser.ask("[...document.querySelectorAll('#districts tbody tr:first-child td')].map(c => c.textContent)")
    assert cells[:11] == [HOSTILE, "100.00", "60.00", "5.00", "35.00", "50.00", "6.00", "3.00", "1.00", "0.00", "4.00"]
    total = browser.ask("[...document.querySelectorAll('#districts tfoot td')].map(c => c.textContent)")
    assert total[:3] == ["All", "200.00", "120.00"]
    assert browser.ask("document.querySelectorAll('#objects figure img').length") == 3


def colours(browser):
    """Counts of colours on the canvas, in steps of 16."""
    return browser.ask(
        "(() => { const c = document.querySelector('#map canvas');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const n = {};"
        "for (let i = 0; i < d.length; i += 4) { const k = [d[i] >> 4, d[i+1] >> 4, d[i+2] >> 4].join();"
        "n[k] = (n[k] || 0) + 1; } return n; })()"
    )


def test_the_map_is_drawn_answers_a_click_and_turns_layers_off(page):
    browser, folder = page
    browser.ask("document.querySelector('#map').scrollIntoView()")
    browser.ask("document.querySelector('input[name=imagery]').click()")
    browser.wait()
    browser.picture(folder / "map.png")
    before = colours(browser)
    assert len(before) > 20
    red = sum(n for k, n in before.items() if (c := list(map(int, k.split(","))))[0] >= 14 and c[1] <= 8 and c[2] <= 8)
    assert red > 500, "the proposed CHA is drawn"
    # Find a pixel of the proposed CHA and click on it.
    spot = browser.ask(
        "(() => { const c = document.querySelector('#map canvas'), b = c.getBoundingClientRect();"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "for (let y = 10; y < c.height - 10; y++) for (let x = 10; x < c.width - 10; x++) {"
        "const at = (x, y) => { const i = (y * c.width + x) * 4; return d[i] > 230 && d[i+1] < 140 && d[i+2] < 140; };"
        "if (at(x, y) && at(x + 8, y + 8) && at(x - 8, y - 8)) return [b.left + x, b.top + y]; } })()"
    )
    browser.click(*spot)
    said = browser.ask("document.getElementById('chosen').textContent")
    assert said.startswith("Proposed confirmed hazardous area, 0.25 ha")
    assert '"><svg onload=alert(3)>' in said
    browser.ask("document.querySelector('input[name=hazard_areas]').click()")
    browser.wait()
    after = colours(browser)
    assert after != before
    assert browser.trouble == []


def test_zoom_and_keyboard_move_the_map(page):
    browser, _ = page
    start = colours(browser)
    browser.ask("document.querySelector('[data-do=in]').click()")
    browser.wait()
    nearer = colours(browser)
    assert nearer != start
    browser.ask("document.querySelector('[data-do=fit]').click()")
    browser.wait()
    assert colours(browser) == start


def test_it_fits_a_phone_and_paper(page):
    browser, folder = page
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)
    browser.wait()
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    browser.picture(folder / "phone.png", whole=True)
    browser.call("Emulation.clearDeviceMetricsOverride")
    paper = browser.call("Page.printToPDF", printBackground=True)["data"]
    assert len(paper) > 20_000
    assert browser.trouble == []
