"""The trend as a line."""

from __future__ import annotations

import pytest

from harness.results.page.trend_plot import plot
from harness.results.statistics import Point


@pytest.mark.parametrize("ratios", [[], [None] * 5, [1.0], [None, 1.1]])
def test_without_two_nights_there_is_no_plot(ratios):
    assert plot([Point(number, ratio, 9) for number, ratio in enumerate(ratios)]) is None


def test_a_plot_stays_within_its_frame():
    found = plot([Point(number, ratio, 9) for number, ratio in enumerate([1.0, 3.0, 0.2, None, 1])])
    assert found is not None
    assert all(0 <= x <= found.width and 0 <= y <= found.height for x, y, _ in found.dots)
    assert len(found.dots) == 4
