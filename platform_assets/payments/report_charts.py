"""The payment report's charts, drawn by matplotlib as SVG that stands in the page itself. Drawing only, no figures."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from platform_assets.currencies import exponent
from platform_assets.payments.report import CurrencyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, GRID = "#1d2733", "#5c6b7a", "#e3e8ee"
SALES, NET, OUT, WARN = "#2f6fb0", "#12805c", "#c2553f", "#d59a2b"
_AGES = (MUTED, WARN, "#cf7a34", OUT, "#8f2d1f")

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "payment-report",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.spines.bottom": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


def months_chart(part: CurrencyReport) -> str:
    """Sales, what was taken from them, and the net that is left, by month."""

    def draw(axes: Axes) -> None:
        labels = [f"{month.first_day:%b}\n{month.first_day:%Y}" for month in part.months]
        places = range(len(labels))
        sales = [_major(month.figures.sales_amount_minor, part) for month in part.months]
        taken = [
            _major(month.figures.net_amount_minor - month.figures.sales_amount_minor, part)
            for month in part.months
        ]
        net = [_major(month.figures.net_amount_minor, part) for month in part.months]
        axes.bar(places, sales, width=0.62, color=SALES, label="Sales")
        axes.bar(places, taken, width=0.62, color=OUT, label="Refunds, fees, disputes")
        axes.plot(places, net, color=NET, marker="o", markersize=4, linewidth=2, label="Net")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_xticks(list(places), labels)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)

    return _svg(draw, part, title=f"Sales and net by month in {part.currency}")


def rolling_chart(part: CurrencyReport) -> str:
    """Rolling sums of 30 days."""

    def draw(axes: Axes) -> None:
        days = part.daily.index.to_numpy()
        for name, color, label in (
            ("sales_30d_minor", SALES, "Sales, last 30 days"),
            ("net_30d_minor", NET, "Net, last 30 days"),
            ("sales_7d_minor", WARN, "Sales, last 7 days"),
        ):
            values = [_major(int(value), part) for value in part.daily[name]]
            axes.plot(days, values, color=color, linewidth=1.8, label=label)
        axes.margins(x=0)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)

    return _svg(draw, part, title=f"Rolling sums in {part.currency}", has_dates=True)


def ageing_chart(part: CurrencyReport) -> str:
    """What is owed, by days overdue."""

    def draw(axes: Axes) -> None:
        names = [bucket.name for bucket in part.ageing]
        values = [_major(bucket.amount_minor, part) for bucket in part.ageing]
        axes.bar(names, values, width=0.6, color=_AGES)

    return _svg(draw, part, title=f"Owed in {part.currency} by days overdue", size=(5.4, 2.7))


def _major(amount_minor: int, part: CurrencyReport) -> float:
    """An amount to draw; only pictures are made of floats."""
    return float(amount_minor / 10 ** exponent(part.currency))


def _svg(
    draw: Callable[[Axes], None],
    part: CurrencyReport,
    *,
    title: str,
    size: tuple[float, float] = (10.6, 3.0),
    has_dates: bool = False,
) -> str:
    import matplotlib as mpl
    from matplotlib.dates import ConciseDateFormatter, MonthLocator
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        if has_dates:
            locator = MonthLocator()  # type: ignore[no-untyped-call]  # the library left it without types
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # likewise
        target = io.StringIO()
        # Without the date, the same figures give the same page.
        figure.savefig(target, format="svg", metadata={"Date": None, "Title": title})
    svg = target.getvalue()
    svg = svg[svg.index("<svg") :]
    # Nothing that points elsewhere: what is left of the file's head would name its schema's addresses.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def _short(value: float) -> str:
    """An axis label: `12.5k`, `3M`."""
    for limit, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{sign}"
    return f"{value:.4g}"
