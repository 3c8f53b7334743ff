"""The page itself: templates filled in, and the charts' library put into it."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2

from ppcds.errors import UserError
from ppcds.files import write_whole
from ppcds.report.page.charts import Chart

LARGEST = 5_000_000  # bytes: more opens slowly on a phone


class Page:
    """Charts are put on it as the template comes to them; data that several share are on it once."""

    def __init__(self) -> None:
        self.specs: dict[str, dict] = {}
        self.datasets: dict[str, list] = {}

    def place(self, chart: Chart) -> str:
        """The id of the element that the chart is drawn into."""
        name = f"chart{len(self.specs)}"
        datasets = chart.spec.get("datasets", {})  # named by Altair after their content
        self.datasets.update(datasets)
        self.specs[name] = {**chart.spec, "datasets": list(datasets)}
        return name

    def render(self, template: str, **content: object) -> str:
        """A template of this folder as HTML. Whatever is filled in is text, never markup."""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("ppcds.report.page"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(place=self.place, drawn=self.as_json, library=chart_library)
        environment.filters.update(percent=percent, plain_number=plain_number)
        return environment.get_template(template).render(**content)

    def as_json(self) -> str:
        """All charts placed so far, fit to stand in a script element."""
        content = json.dumps({"specs": self.specs, "datasets": self.datasets}, separators=(",", ":"))
        for mark in "<>&\u2028\u2029":
            content = content.replace(mark, f"\\u{ord(mark):04x}")
        return content


def write_page(path: Path, html: str) -> int:
    """Write it whole or not at all; returns its bytes. Raises UserError if it cannot be written."""
    content = html.encode("utf-8", "backslashreplace")
    try:
        write_whole(path, content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return len(content)


def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, fit to stand in a script element."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    return vl_convert.javascript_bundle(vl_version=version).replace("</script", "<\\/script")


def percent(share: float) -> str:
    """0.7533 -> 75.33 %."""
    return "not measured" if share != share else f"{share * 100:.2f} %"


def plain_number(value: float) -> str:
    """Of a p value: three figures, and no exact 0."""
    return f"{value:.3g}" if value >= 1e-12 else "below 1e-12"
