# SPDX-License-Identifier: Apache-2.0
"""What was promised of the GPU path beside what was found, and a plot of it."""

from benchmarks.report import RESULTS, Row, hardware_name

AGREE = 1e-4
"""Relative difference between votes and gradients that rounding explains."""


def verdicts(
    agreement: list[Row],
    votes: list[Row],
    totals: list[Row],
    image: str,
    gaussians: int,
    views: int,
) -> list[Row]:
    """Return what was promised beside what was found; what was not measured is left out."""
    main = {
        row["labels"]: row
        for row in votes
        if row["gaussians"] == gaussians and row["image"] == image
    }
    found: list[tuple[str, float, str, float]] = []
    if agreement:
        worst = max(row["relative"] for row in agreement)
        found.append(("votes equal gsplat's gradients, relative", worst, "<=", AGREE))
    if 1 in main:
        found += [
            ("two backward passes / votes", main[1]["a/vote"], ">=", 4.0),
            ("one backward pass / votes", main[1]["b/vote"], ">=", 2.0),
            ("votes / RGB forward", main[1]["vote/c"], "<=", 1.5),
        ]
    if {1, 12} <= main.keys():
        ratio = main[12]["vote_ms"] / main[1]["vote_ms"]
        found.append(("12 labels / 1 label", ratio, "<=", 1.3))
    for row in totals:
        if row["what"] == "ours" and row["views"] == views:
            found.append((f"s for {views} views", row["s"], "<=", 0.5))
    return [
        {
            "promise": name,
            "found": value,
            "limit": f"{sign} {limit}",
            "kept": "yes" if (value <= limit if sign == "<=" else value >= limit) else "NO",
        }
        for name, value, sign, limit in found
    ]


def plot(rows: list[Row]) -> None:
    """Draw ms per view over Gaussians for the largest image, where matplotlib is installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("no plot: matplotlib is not installed")
        return
    images = list(dict.fromkeys(row["image"] for row in rows))
    figure, axes = pyplot.subplots(1, len(images), figsize=(5 * len(images), 4), squeeze=False)
    for axis, image in zip(axes[0], images, strict=True):
        chosen = sorted(
            (row for row in rows if row["image"] == image), key=lambda row: row["gaussians"]
        )
        for labels in dict.fromkeys(row["labels"] for row in chosen):
            ours = [row for row in chosen if row["labels"] == labels]
            draw(axis, ours, "vote_ms", f"votes, labels: {labels}", "o-")
        for name, label in (
            ("two_backward_ms", "(a) two backward passes"),
            ("one_backward_ms", "(b) one backward pass"),
            ("rgb_ms", "(c) RGB forward"),
            ("floor_ms", "floor, labels: 1"),
        ):
            draw(
                axis,
                [row for row in chosen if row["labels"] == chosen[0]["labels"]],
                name,
                label,
                "--",
            )
        axis.set(xscale="log", yscale="log", xlabel="Gaussians", ylabel="ms per pass", title=image)
        axis.legend(fontsize=7)
    path = RESULTS / f"gpu-{hardware_name()}.png"
    figure.savefig(path, dpi=120, bbox_inches="tight")
    print(f"drawn: {path}")


def draw(axis: object, rows: list[Row], column: str, label: str, style: str) -> None:
    """Add one line to a plot."""
    axis.plot(
        [row["gaussians"] for row in rows], [row[column] for row in rows], style, label=label
    )
