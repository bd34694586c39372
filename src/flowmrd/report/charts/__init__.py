"""Charts as data: one typed description that becomes a plotly figure on the screen and an SVG on paper.

:mod:`~flowmrd.report.charts.description` says what a chart may hold, :mod:`~flowmrd.report.charts.plotly` and
:mod:`~flowmrd.report.charts.svg` draw it. Both take colours from the page's theme by the role of what is drawn.
"""
