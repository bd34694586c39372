"""The validation report as one self-contained page."""

from __future__ import annotations

from typing import Any

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Assay validation</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
body{color:#1a1a1a;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{border:1px solid #888;padding:.3rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}caption{text-align:left;font-weight:600;padding:.3rem 0}
@media (prefers-color-scheme:dark){body{color:#eee;background:#111}}
</style></head><body><main>
<h1>Assay validation by in-silico dilution</h1>
<p>Research use only. Cells of {{ f.patients|length }} diagnosis tube(s) were put, in Poisson numbers, into
{{ f.controls|length }} control tube(s), {{ f.tubes }} diluted tubes in all, and judged by the code that judges
patients. No control helped to build the reference that judged it. Detected means at least {{ detect }} clustered
events.</p>
<p>{% for warning in warnings %}<strong>{{ warning }}</strong> {% endfor %}</p>
<h2>Blank, limits, linearity</h2>
<ul>
<li>False events in blanks: {{ '%.1f'|format(f.blank.mean_per_million) }} per million on average, limit of blank
{{ '%.1f'|format(f.blank.lob_per_million) }}, worst {{ '%.1f'|format(f.blank.worst_per_million) }}.</li>
<li>Negative agreement: {{ share(f.blank.npa) }}.</li>
<li>Limit of detection (lowest level found in at least 95 % of tubes):
{{ f.lod if f.lod is not none else 'not reached' }}.</li>
<li>Limit of quantification (coefficient of variation at most 30 % besides):
{{ f.loq if f.loq is not none else 'not reached' }}.</li>
{% if f.linearity %}<li>Linearity of log10 measured on log10 true: slope {{ '%.3f'|format(f.linearity.slope) }},
R² {{ '%.3f'|format(f.linearity.r_squared) }} ({{ f.linearity.points }} tubes).</li>{% endif %}
</ul>
{{ plot|safe }}
<table><caption>By level</caption><thead><tr><th scope="col">level</th><th scope="col">detected</th>
<th scope="col">mean measured</th><th scope="col">CV</th><th scope="col">cells recovered</th>
<th scope="col">within half a log</th></tr></thead><tbody>
{% for row in f.levels %}<tr><td>{{ '%.0e'|format(row.level) }}</td><td>{{ row.hits }} of {{ row.tubes }}
({{ '%.1f'|format(100 * row.ci95[0]) }}–{{ '%.1f'|format(100 * row.ci95[1]) }} %)</td>
<td>{{ '%.2e'|format(row.mean_measured) }}</td>
<td>{{ '%.0f %%'|format(100 * row.cv) if row.cv is not none else '–' }}</td>
<td>{{ '%.0f %%'|format(100 * row.recovery) if row.recovery is not none else '–' }}</td>
<td>{{ row.within_half_log.hits }} of {{ row.within_half_log.of }}</td></tr>{% endfor %}
</tbody></table>
<table><caption>By leukaemia</caption><thead><tr><th scope="col">patient</th><th scope="col">detected at 1e-4</th>
<th scope="col">false events per million</th><th scope="col">phenotype</th></tr></thead><tbody>
{% for row in f.by_patient %}<tr><td>{{ row.patient }}</td><td>{{ share(row['ppa_1e-4']) }}</td>
<td>{{ '%.1f'|format(row.blank_per_million) }}</td>
<td>{{ 'like normal precursors' if row.like_normal else 'distinct' }}</td></tr>{% endfor %}
</tbody></table>
<table><caption>Detection at 1e-4 by acquired nucleated events</caption><thead><tr><th scope="col">events</th>
<th scope="col">detected</th></tr></thead><tbody>
{% for row in f.by_events %}<tr><td>{{ '{:,}'.format(row['from']) }}
{{ 'to {:,}'.format(row.to) if row.to else 'and more' }}</td>
<td>{{ share(row['ppa_1e-4']) }}</td></tr>{% endfor %}
</tbody></table></main></body></html>
"""


def render(figures: dict[str, Any], *, detect_events: int, warnings: list[str]) -> str:
    """HTML of the figures; every value is escaped."""
    from jinja2 import Environment

    environment = Environment(autoescape=True)
    return (
        environment.from_string(_TEMPLATE).render(
            f=figures, detect=detect_events, warnings=warnings, share=_share, plot=_plot(figures)
        )
        + "\n"
    )


def _share(value: dict[str, Any]) -> str:
    low, high = value["ci95"]
    return f"{value['hits']} of {value['of']} ({100 * low:.1f}–{100 * high:.1f} %)"


def _plot(figures: dict[str, Any]) -> str:
    """Measured against diluted level, both log10, as SVG made of numbers only."""
    import math

    points = [(row["level"], row["mean_measured"]) for row in figures["levels"] if row["mean_measured"] > 0]
    if not points:
        return ""

    def x(value: float) -> float:
        return 60 + 55 * (math.log10(value) + 7)

    def y(value: float) -> float:
        return 300 - 45 * (math.log10(value) + 7)

    ticks = range(-6, -1)
    parts = [
        '<svg viewBox="0 0 420 340" width="420" role="img" aria-label="Measured against diluted level">',
        f'<line x1="{x(1e-7):.0f}" y1="{y(1e-7):.0f}" x2="{x(1e-1):.0f}" y2="{y(1e-1):.0f}" stroke="#888"/>',
    ]
    style = 'font-size="11" fill="currentColor"'
    for tick in ticks:
        at, up = x(10.0**tick), y(10.0**tick) + 4
        parts.append(f'<text x="{at:.0f}" y="320" {style} text-anchor="middle">1e{tick}</text>')
        parts.append(f'<text x="50" y="{up:.0f}" {style} text-anchor="end">1e{tick}</text>')
    parts.extend(
        f'<circle cx="{x(level):.1f}" cy="{y(max(measured, 1e-7)):.1f}" r="5" fill="#0072b2"/>'
        for level, measured in points
    )
    return "".join([*parts, "</svg>"])
