"""HTML pages for the reviewer: one self-contained page per sample, and one for the cohort.

``page`` turns a template and data into a page that needs no network and runs under a strict Content-Security-Policy;
the trial and validation pages use it too.
"""

from flowmrd.report.page import PageData, environment, read_asset, render_page, write_page

__all__ = ["PageData", "environment", "read_asset", "render_page", "write_page"]
