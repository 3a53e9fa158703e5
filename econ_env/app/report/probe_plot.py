"""Draws the verdicts of the probe: a mark and plain words for each control of each model."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from econ_env.app.report.probe import probed, words_of
from econ_env.app.report.runs import Runs
from econ_env.app.report.style import LINE, Plot, Theme, new_figure, short

MARKS: Mapping[str, tuple[str, int]] = {
    "alive": ("o", 0),
    "dead": ("X", 1),
    "refused": ("s", 1),
    "unclear": ("D", 5),
    "no": ("_", 6),
}
"""Marker and number of the colour of each verdict; words and marker tell them apart without the colour."""


def probe_plots(runs: Runs) -> dict[str, Plot]:
    """The verdicts of the probe as a picture, by file name; empty without a probe."""
    found = probed(runs)
    if not found:
        return {}
    models = list(dict.fromkeys(model for model, *_ in found))
    controls = list(dict.fromkeys(control for _, control, _ in found))

    def draw(theme: Theme, width: float) -> Figure:
        lines = len(found) + len(models)
        figure, (axes,) = new_figure(width, 0.2 + 1.6 * LINE * lines)
        y = 0
        for model in models:
            axes.text(0.0, y, short(model), fontweight="bold", va="center")
            y += 1
            for _, control, line in (one for one in found if one.model == model):
                mark, number = MARKS.get(line["verdict"], ("D", 6))
                axes.plot(0.02, y, marker=mark, markersize=8, color=theme.palette[number], clip_on=False)
                axes.text(0.06, y, control, va="center")
                axes.text(0.5, y, words_of(line["verdict"]), va="center")
                y += 1
        axes.set(xlim=(0, 1), ylim=(y - 0.5, -0.5))
        axes.axis("off")
        return figure

    dead = [f"{control} of {model}" for model, control, line in found if line["verdict"] in ("dead", "refused")]
    caption = "Whether a change of each control changes what the server answers." + (
        f" Without effect: {', '.join(dead)}."
        if dead
        else f" All of {len(controls)} have an effect."
        if all(line["verdict"] == "alive" for *_, line in found)
        else ""
    )
    words = "; ".join(f"{model}, {control}: {words_of(line['verdict'])}" for model, control, line in found)
    return {"probe": Plot("Which controls have an effect", caption, draw, words=words)}
