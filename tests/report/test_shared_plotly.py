"""Pages of a large cohort share one plotly.js and stay safe; a page that was moved alone still tells everything."""

from __future__ import annotations

import shutil
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from report_pages import build

from browser import OpenPage
from flowmrd.report.plotly_script import plotly_name, plotly_script, reachable, registering
from flowmrd.stages.report import SHARED_ABOVE
from report_factory import MadeSample, make_sample

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    made = make_sample(tmp_path_factory.mktemp("shared run"))
    build(made, visits=False, tubes=SHARED_ABOVE + 1)
    return made


def drawn(page: Any) -> None:
    page.wait_for_selector("html[data-ready]", timeout=30_000)
    page.locator(".plot").first.scroll_into_view_if_needed()
    page.wait_for_selector(".plot.live", timeout=30_000)


def test_a_page_of_a_large_cohort_draws_with_the_shared_script_and_is_smaller_by_it(
    shared: MadeSample, positive: MadeSample, open_page: OpenPage
) -> None:
    page = shared.sample_dir / "report.html"
    script = shared.run / "results" / "assets" / plotly_name()
    assert script.read_text(encoding="utf-8") == plotly_script()
    alone = (positive.sample_dir / "report.html").stat().st_size
    assert page.stat().st_size < alone - script.stat().st_size / 4
    drawn(open_page(page))


def test_only_a_script_that_the_page_itself_loads_may_run(shared: MadeSample) -> None:
    text = unescape((shared.sample_dir / "report.html").read_text(encoding="utf-8"))
    policy = text.split('Content-Security-Policy" content="')[1].split('"')[0]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert [word for word in scripts.split()[1:] if not word.startswith("'sha256-")] == ["'strict-dynamic'"]


def test_a_page_moved_alone_shows_its_pictures_and_says_what_is_missing(
    shared: MadeSample, browser: Browser, tmp_path: Path
) -> None:
    alone = Path(shutil.copy(shared.sample_dir / "report.html", tmp_path / "report.html"))
    page = browser.new_page()
    page.goto(alone.as_uri())
    page.wait_for_function("document.getElementById('plot-status').textContent.includes('plotly-')")
    assert page.locator(".plot .still svg").count() > 3
    assert page.locator("#verdict").inner_text()
    page.close()


def test_from_a_server_the_shared_script_runs_only_unaltered(
    shared: MadeSample, browser: Browser, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(shared.run / "results", tmp_path / "results"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SilentHandler, directory=str(copy)))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/samples/{shared.sample}/report.html"
    page = browser.new_page()
    page.goto(address)
    drawn(page)
    page.close()
    script = copy / "assets" / plotly_name()
    script.write_text(script.read_text(encoding="utf-8") + "\nwindow.altered = true;\n", encoding="utf-8")
    page = browser.new_context().new_page()
    page.goto(address)
    page.wait_for_function("document.getElementById('plot-status').textContent.includes('plotly-')")
    assert page.evaluate("window.altered") is None
    page.close()
    server.shutdown()


def test_the_script_sets_up_the_traces_that_pages_use_and_no_other(positive: MadeSample, open_page: OpenPage) -> None:
    page = open_page(positive.sample_dir / "report.html")
    drawn(page)
    known = page.evaluate("Object.keys(Plotly.PlotSchema.get().traces).sort()")
    assert known == ["heatmap", "scatter"]


def test_a_script_of_another_make_is_taken_as_it_is() -> None:
    for script in ("x.register([a(),b()]);", "no list of traces", "x.register([a()]);y.register([a()]);"):
        assert registering(script, ["heatmap"]) == script
    made = 'a=W((e,t)=>{t.exports=c()});c=W((e,t)=>{t.exports={name:"heatmap"}});x.register([b(),a()]);'
    assert registering(made, ["heatmap"]).endswith("x.register([a()]);")
    for script in ("", "no modules", "f();var a=W((e,t)=>{t.exports=1}),b=2;return a();"):
        assert reachable(script) == script


def test_modules_that_nothing_uses_are_left_out_and_all_others_are_kept() -> None:
    common = 'var {0}=W(({0}e,t)=>{{"use strict";{1}}});'.format
    modern = "var {0}={{}};Fp({0},{{x:()=>1}});function f(){{}}var y,{0}i=Ea(()=>{{{1}}});".format
    used = [
        common("a", "b();x(...c())"),
        common("b", "(mi(),Go(m))"),
        common("c", ""),
        modern("m", "d()"),
        common("d", ""),
    ]
    unused = [common("u", "v();a()"), common("v", ""), modern("n", "b()")]
    before, after = "start;", "var r=W((e,t)=>{a()});return r();})(); the licences"
    mixed = [used[0], unused[0], *used[1:4], unused[2], unused[1], used[4]]
    assert reachable("".join([before, *mixed, after])) == "".join([before, *used, after])
    assert len(plotly_script()) < 1_500_000
    assert plotly_script().count("license") > 5


class SilentHandler(SimpleHTTPRequestHandler):
    """Files of a folder, without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""
