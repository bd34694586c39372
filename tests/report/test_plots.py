"""The plots of a page in a real browser, used as a reviewer uses them."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from report_neighbours import with_neighbours
from reviewer_actions import drawn, lasso, opened

from browser import OpenPage
from report_factory import MadeSample, ino10

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """A follow-up with 60 MRD cells, its diagnosis tube and four controls."""
    return with_neighbours(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> MadeSample:
    """The same without a single MRD cell, in a tube large enough for the target."""
    return with_neighbours(tmp_path_factory.mktemp("empty"), blasts=0, nucleated=331_204)


def test_the_standard_panel_is_the_panels_own_in_three_columns_on_one_scale(
    compared: MadeSample, open_page: OpenPage
) -> None:
    page = opened(compared, open_page)
    rows = page.locator(".plot-row").evaluate_all("rows => rows.map(row => row.getAttribute('aria-label'))")
    wanted = [plot.title or f"{plot.x} / {plot.y}" for plot in ino10().standard_plots]
    assert [row.rsplit(" of ", 1)[0] for row in rows[: len(wanted)]] == wanted
    assert page.locator("#std-5-diagnosis, #std-5-tube, #std-5-controls").count() == 3
    drawn(page, "std-5-diagnosis", "std-5-tube", "std-5-controls")
    scales = page.evaluate(
        "['diagnosis', 'tube', 'controls'].map(k => { const l = document.querySelector(`#std-5-${k} .canvas`).layout;"
        " return JSON.stringify([l.xaxis.range, l.yaxis.range, l.xaxis.ticktext, l.yaxis.ticktext]); })"
    )
    assert len(set(scales)) == 1


def test_the_diamonds_lie_inside_the_diagnosis_outline_and_outside_normal_maturation(
    compared: MadeSample, open_page: OpenPage
) -> None:
    page = opened(compared, open_page)
    drawn(page, "std-6-tube")
    inside = page.evaluate(
        """() => {
          const data = document.querySelector('#std-6-tube .canvas').data;
          const hit = (t, x, y) => { let odd = false;
            for (let i = 0, j = t.x.length - 1; i < t.x.length; j = i++)
              if (t.y[i] > y !== t.y[j] > y && x < (t.x[j] - t.x[i]) * (y - t.y[i]) / (t.y[j] - t.y[i]) + t.x[i])
                odd = !odd;
            return odd; };
          const mrd = data.find(t => t.meta.layer === 'mrd');
          const of = role => data.filter(t => t.meta.role === role && t.mode === 'lines');
          const share = role => mrd.x.filter((x, i) => of(role).some(t => hit(t, x, mrd.y[i]))).length / mrd.x.length;
          return {n: mrd.x.length, diagnosis: share('diagnosis'), normal: share('normal'), stages: of('normal').length};
        }"""
    )
    assert inside["n"] == compared.result.counts.mrd_events
    assert inside["diagnosis"] > 0.8
    assert inside["stages"] >= 2
    assert inside["normal"] < 0.2


def test_without_mrd_the_spiked_cells_show_what_the_target_would_look_like(
    empty: MadeSample, open_page: OpenPage
) -> None:
    page = opened(empty, open_page)
    drawn(page, "std-6-tube")
    counts = page.evaluate(
        "Object.fromEntries(document.querySelector('#std-6-tube .canvas').data.filter(t => t.meta.layer)"
        ".map(t => [t.meta.layer, t.x.length]))"
    )
    assert counts["mrd"] == 0
    assert counts["spiked"] == 33, "1 in 10,000 of 331,204 nucleated cells"
    assert page.locator("#std-6-tube .canvas .scatterlayer .js-line").count() >= 3, "outlines stand without MRD too"


def test_excluded_cells_of_the_phenotype_are_a_layer_of_their_own(compared: MadeSample, open_page: OpenPage) -> None:
    page = opened(compared, open_page)
    drawn(page, "std-6-tube")
    assert page.locator('[data-layer="excluded"]').is_checked()
    shown = page.evaluate(
        "(t => [t.x.length, t.marker.symbol])"
        "(document.querySelector('#std-6-tube .canvas').data.find(t => t.meta.layer === 'excluded'))"
    )
    assert shown == [7, "x"]


def test_a_layer_is_switched_and_a_zoom_is_shared_by_the_row_and_survives_it(
    compared: MadeSample, open_page: OpenPage
) -> None:
    page = opened(compared, open_page)
    drawn(page, "std-5-tube", "std-5-controls")
    page.locator("#std-5-tube .canvas").focus()
    page.keyboard.press("+")
    ranges = (
        "['tube', 'controls'].map(k => document.querySelector(`#std-5-${k} .canvas`).layout.xaxis.range"
        ".map(v => +v.toFixed(3)))"
    )
    page.wait_for_function(f"(r => r[0][0] > -0.05 && r[0][0] === r[1][0])({ranges})")
    zoomed = page.evaluate(ranges)
    page.locator('[data-layer="stage:mature_b"]').check()
    page.wait_for_function(
        "document.querySelector('#std-5-tube .canvas').data.find(t => t.meta.layer === 'stage:mature_b').x.length > 50"
    )
    assert page.evaluate(ranges) == zoomed
    page.locator('[data-layer="mrd"]').uncheck()
    page.wait_for_function(
        "document.querySelector('#std-5-tube .canvas').data.find(t => t.meta.layer === 'mrd').x.length === 0"
    )
    assert page.evaluate(ranges) == zoomed


def test_a_lasso_counts_marks_the_cells_everywhere_and_saves_their_rows(
    compared: MadeSample, open_page: OpenPage
) -> None:
    page = opened(compared, open_page)
    drawn(page, "std-6-tube")
    box = page.evaluate(
        "(t => [[Math.min(...t.x) - 0.01, Math.min(...t.y) - 0.01],"
        " [Math.max(...t.x) + 0.01, Math.max(...t.y) + 0.01]])"
        "(document.querySelector('#std-6-tube .canvas').data.find(t => t.meta.layer === 'mrd'))"
    )
    lasso(page, "std-6-tube", tuple(box[0]), tuple(box[1]))
    page.wait_for_selector("#selection strong")
    n = compared.result.counts.mrd_events
    said = page.locator("#selection").inner_text()
    assert f"MRD cell: {n} of {n}" in said
    assert "% of nucleated cells" in said
    assert "% of B lineage" in said
    marked = page.evaluate(
        "document.querySelector('#std-6-tube .canvas').data.find(t => t.meta.layer === 'selected').x.length"
    )
    assert marked >= n
    drawn_in_order = page.evaluate("document.querySelector('#std-6-tube .canvas').data.map(t => t.meta.layer)")
    assert drawn_in_order.index("selected") < drawn_in_order.index("mrd"), "no ring hides a diamond"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save selected rows").click()
    lines = Path(download.value.path()).read_text().splitlines()
    head = lines[0].split("\t")
    rows = [dict(zip(head, line.split("\t"), strict=True)) for line in lines[1:]]
    assert sum(row["mrd"] == "1" for row in rows) == n
    assert all(0 <= int(row["event"]) < 6000 for row in rows)
    page.get_by_role("button", name="Clear selection").click()
    assert page.locator("#selection").inner_text() == ""


def test_a_lasso_takes_only_cells_that_its_plot_shows(compared: MadeSample, open_page: OpenPage) -> None:
    page = opened(compared, open_page)
    drawn(page, "std-6-tube")
    lasso(page, "std-6-tube", (0.02, 0.02), (0.98, 0.98))
    page.wait_for_selector("#selection strong")
    found = page.evaluate(
        "() => {"
        " const parent = document.querySelector('#std-6-tube').dataset.parent;"
        " const gate = figures.inGate(figures.table.gates.indexOf(parent));"
        " const layers = figures.table.layers.filter(layer => figures.shown.has(layer.id));"
        " const marked = new Set(layers.flatMap(layer => figures.layers[layer.id]));"
        " const chosen = figures.layers.selected;"
        " const outside = figures.where(i => !gate(i));"
        " return [chosen.length, chosen.filter(i => !gate(i) && !marked.has(i)).length, outside.length]; }"
    )
    assert found[0] > 0
    assert found[2] > 0, "the page holds cells outside the plot's parent"
    assert found[1] == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_camera_saves_a_picture_on_paper_under_the_name_of_its_plot(
    compared: MadeSample, open_page: OpenPage, tmp_path: Path, theme: str
) -> None:
    """The picture had no ground, so pale letters of the dark theme were lost; and every plot had the same file name."""
    page = opened(compared, open_page, color_scheme=theme)
    drawn(page, "std-6-tube", "std-6-diagnosis")
    names = []
    for plot in ("std-6-tube", "std-6-diagnosis"):
        page.locator(f"#{plot} .canvas").hover()
        with page.expect_download() as download:
            page.locator(f"#{plot} .modebar-btn[data-title*=PNG]").click()
        names.append(download.value.suggested_filename)
        download.value.save_as(tmp_path / "picture.png")
    assert names == [f"{compared.sample}.std-6-tube.png", f"{compared.sample}.std-6-diagnosis.png"]
    picture = base64.b64encode((tmp_path / "picture.png").read_bytes()).decode()
    width, *corner = page.evaluate(
        """async (code) => {
          const bytes = Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0));
          const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
          const canvas = new OffscreenCanvas(picture.width, picture.height), paint = canvas.getContext("2d");
          paint.drawImage(picture, 0, 0);
          return [picture.width, ...paint.getImageData(2, 2, 1, 1).data];
        }""",
        picture,
    )
    assert width > 500
    assert corner[3] == 255, "a ground of its own"
    assert (min(corner[:3]) > 240) if theme == "light" else (max(corner[:3]) < 80)


def test_the_tools_of_a_plot_hide_no_event_behind_a_dark_band(compared: MadeSample, open_page: OpenPage) -> None:
    page = opened(compared, open_page, color_scheme="light")
    drawn(page, "std-6-tube")
    grounds = page.locator("#std-6-tube .modebar-group").evaluate_all(
        "groups => groups.map((group) => getComputedStyle(group).backgroundColor)"
    )
    assert grounds
    assert set(grounds) == {"rgba(255, 255, 255, 0.5)"}


def test_hovering_tells_the_values_in_raw_units_and_the_event(compared: MadeSample, open_page: OpenPage) -> None:
    page = opened(compared, open_page)
    drawn(page, "std-6-tube")
    trace = page.evaluate(
        "(t => ({template: t.hovertemplate, first: t.customdata[0]}))"
        "(document.querySelector('#std-6-tube .canvas').data.find(t => t.meta.layer === 'mrd'))"
    )
    assert trace["template"].startswith("MRD cell<br>CD38 %{customdata[0]}<br>CD10 %{customdata[1]}")
    assert float(trace["first"][1]) > 1000, "bright CD10 in raw units"
    assert trace["first"][2].startswith("event ")


def test_the_canonical_view_parts_the_mrd_cells_from_normal_maturation(
    compared: MadeSample, open_page: OpenPage
) -> None:
    page = opened(compared, open_page)
    drawn(page, "canonical-plot")
    assert page.locator(".canonical table tbody tr").count() >= 10
    inside = page.evaluate(
        """() => { const data = document.querySelector('#canonical-plot .canvas').data;
          const mrd = data.find(t => t.meta.layer === 'mrd');
          const box = t => [Math.min(...t.x), Math.max(...t.x), Math.min(...t.y), Math.max(...t.y)];
          const normal = data.filter(t => t.meta.role === 'normal' && t.mode === 'lines').map(box);
          const within = (x, y) => normal.some(([a, b, c, d]) => x > a && x < b && y > c && y < d);
          return mrd.x.filter((x, i) => within(x, mrd.y[i])).length / mrd.x.length; }"""
    )
    assert inside < 0.1


def test_the_free_plot_shows_the_chosen_parent_in_a_square(compared: MadeSample, open_page: OpenPage) -> None:
    page = opened(compared, open_page)
    drawn(page, "free-plot")
    n = "document.querySelector('#free-plot .canvas').data.find(t => t.meta.layer === 'all').x.length"
    everything = page.evaluate(n)
    page.select_option("#free-parent", label="Mature B cells")
    page.wait_for_function(f"{n} < {everything}")
    box = page.locator("#free-plot .canvas").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(box["height"], rel=0.02)


def test_the_first_plot_is_reached_within_eight_tabs(compared: MadeSample, open_page: OpenPage) -> None:
    page = opened(compared, open_page)
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.plot') !== null"):
            break
    assert page.evaluate("document.activeElement.closest('.plot') !== null")


def test_the_page_stays_under_eight_megabytes(compared: MadeSample) -> None:
    assert (compared.sample_dir / "report.html").stat().st_size < 8_000_000


def test_every_figure_is_one_that_plotly_accepts(compared: MadeSample, open_page: OpenPage) -> None:
    from plotly.graph_objects import Figure

    page = opened(compared, open_page)
    figures = page.evaluate("Object.values(figures.report.figures).map(f => figures.themed(f))")
    assert len(figures) > 30
    for figure in figures:
        checked = Figure(figure)
        assert {trace.type for trace in checked.data} <= {"heatmap", "scatter"}, "no WebGL"
        assert json.loads(checked.to_json())["layout"]["showlegend"] is False
