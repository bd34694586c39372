"""What a reviewer does with a page, for the tests of it."""

from __future__ import annotations

from typing import Any

from browser import OpenPage
from report_factory import MadeSample


def opened(made: MadeSample, open_page: OpenPage, **options: Any) -> Any:
    """The page of a sample, once its script is ready."""
    page = open_page(made.sample_dir / "report.html", **options)
    page.wait_for_selector("html[data-ready]", timeout=30_000)
    return page


def drawn(page: Any, *ids: str) -> None:
    """Scroll to these plots and wait until each is drawn."""
    for name in ids:
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}.live .main-svg", timeout=30_000)


def lasso(page: Any, plot: str, low: tuple[float, float], high: tuple[float, float]) -> None:
    """Drag a lasso around a rectangle given on the axes."""
    page.get_by_role("radio", name="lasso").check()
    page.locator(f"#{plot}").scroll_into_view_if_needed()
    corners = page.evaluate(
        """([plot, low, high]) => {
          const canvas = document.querySelector(`#${plot} .canvas`), box = canvas.getBoundingClientRect();
          const {xaxis, yaxis} = canvas._fullLayout;
          return [[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]].map(([x, y]) =>
            [box.left + xaxis._offset + xaxis.l2p(x), box.top + yaxis._offset + yaxis.l2p(y)]);
        }""",
        [plot, low, high],
    )
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
