"""A comfort report in words that tell what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ...stereo_core.comfort import Advice, DisparityReport, EdgeCut, Spread
from ...stereo_core.depth_range import FARTHEST
from ...stereo_core.geometry import StereoGeometry
from ...stereo_core.viewing import Display, Distances, Limit, Viewing, comfortable, limits
from .comfort_measures import PairFacts

# A jump at a cut that the eyes notice, in degrees: the field's convention, as for what they can bear at all.
_JUMP = 1.0
# Less than this share of the width is nothing, as it is printed.
_ON_SCREEN = 0.00005
# Vertical disparity that is worth a word, in thousandths of the height: what matching itself may be wrong by.
_VERTICAL = 2.0
# Views that have less than this share in common are hardly of one scene: halfway between photographed pairs and pairs
# put together from two scenes, which tests/core/test_comfort.py asks of.
_FEW = 0.3
# Views and a depth map of them that agree less are opposed. On photographed pairs exchanged views are below -0.6, and
# maps that have nothing to do with the scene above -0.4, as tests/core/test_comfort.py holds.
_OPPOSED = -0.5

_NAMES = {
    Display.TELEVISION: "a 55-inch television",
    Display.MONITOR: "a 27-inch monitor",
    Display.HEADSET: "a headset's virtual screen, 70 degrees wide",
    Display.CINEMA: "a cinema's screen",
    Display.CUSTOM: "your screen",
}


def describe_comfort(
    report: DisparityReport,
    viewing: Viewing,
    display: Display,
    cuts: Mapping[int, int],
    pair: PairFacts | None,
    advice: Advice | None,
    distances: Distances | None = None,
    geometry: StereoGeometry | None = None,
) -> str:
    """Return the report, a line for each thing that was found.

    Args:
        report: what was measured.
        viewing: the screen and the eyes.
        display: what it is.
        cuts: the places in ``report.frames`` at which a scene begins that follows another, and their frames.
        pair: what finished views say of each other, where they were measured.
        advice: how deep the stereo may be, where there is a depth map to change.
        distances: how far away things were, where that is known.
        geometry: how deep the stereo is, where it is made from a depth map.
    """
    where = f"On {_NAMES[display]}, {viewing.width:g} m wide, at {viewing.distance:g} m:"
    lines = [*_doubts(pair), where] if pair is not None else [where]
    lines += [*_extent(report.clip, viewing), *_limits(report, viewing, display)]
    lines += [*_edge("left", report.left), *_edge("right", report.right)]
    lines += _jumps(report.jumps([*cuts]), cuts, viewing)
    lines.append(f"Depth steps up to {1000 * report.steps:.1f} ‰ of the width from one pixel to the next.")
    if pair is not None:
        lines.append(_vertical(pair.vertical))
    if advice is not None:
        lines.append(
            f"The comfortable range is filled by max_disparity {advice.max_disparity:.1f} and convergence "
            f"{advice.convergence:.2f} (the outputs of this node)."
        )
    if distances is not None:
        seen = " to ".join(_metres(viewing.seen(share)) for share in (report.clip.high, report.clip.low))
        lines.append(f"Real distances: {_metres(distances.nearest)} to {_metres(distances.farthest)}; seen at {seen}.")
        if advice is not None:
            lines += _life(distances, viewing, display, geometry)
    return "\n".join(lines)


def _extent(spread: Spread, viewing: Viewing) -> Iterable[str]:
    for name, share in (("near", spread.high), ("middle", spread.middle), ("far", spread.low)):
        if abs(share) < _ON_SCREEN:
            yield f"{name}: on the screen"
            continue
        side = "in front" if share > 0 else "behind"
        yield (
            f"{name}: {1000 * share:+.1f} ‰ of the width, {abs(viewing.degrees(share)):.2f}° {side}, "
            f"{viewing.dioptres(share):+.2f} dioptres"
        )


def _life(distances: Distances, viewing: Viewing, display: Display, geometry: StereoGeometry | None) -> Iterable[str]:
    if geometry is not None and geometry.exponent != 1:
        yield "Life-size depth needs exponent 1 in Stereo Strength."
        return
    strength, convergence = distances.life_size(viewing)
    if geometry is not None:
        times = geometry.max_disparity / 100 / strength
        yield (
            f"Depth is {times:.2g} times life-size: that of cameras {1000 * viewing.eyes * times:.0f} mm apart, where "
            f"eyes are {1000 * viewing.eyes:.0f} mm apart."
        )
    if not 0 <= convergence <= 1:
        yield (
            f"The screen is {'nearer' if convergence > 1 else 'farther'} than all of the scene, so nothing can be seen "
            f"at its real distance; that takes a screen {_metres(distances.nearest)} to "
            f"{_metres(distances.farthest)} away."
        )
        return
    behind, front = comfortable(viewing, display)
    strain = viewing.share_at(distances.nearest) > front or viewing.share_at(distances.farthest) < behind
    yield (
        f"Everything is seen at its real distance with max_disparity {100 * strength:.1f} and convergence "
        f"{convergence:.2f}{', which is beyond the comfortable range' if strain else ''}; it has its real size, too, "
        f"if the lens saw {viewing.angle:.0f}° across, as wide as this screen looks."
    )


def _metres(distance: float) -> str:
    return f"{distance:.3g} m" if distance < FARTHEST else "infinity"


def _limits(report: DisparityReport, viewing: Viewing, display: Display) -> Iterable[str]:
    spread = report.clip
    broken = [limit for limit in limits(viewing, display) if limit.broken(spread.low, spread.high)]
    if not broken:
        yield "All limits are kept."
    for limit in broken:
        near, far = report.beyond(limit.behind, limit.front)
        if spread.high > limit.front:
            yield _exceeded("near", limit, spread.high, limit.front, near)
        if spread.low < limit.behind:
            yield _exceeded("far", limit, -spread.low, -limit.behind, far)


def _exceeded(how: str, limit: Limit, share: float, most: float, pixels: float) -> str:
    return (
        f"Too {how} for {limit.name}: {100 * share:.1f} % of the width, at most {100 * most:.1f} %; beyond it is "
        f"{100 * pixels:.0f} % of the picture ({limit.source})."
    )


def _edge(side: str, cut: EdgeCut) -> Iterable[str]:
    if cut.rows > 0:
        yield (
            f"The {side} edge cuts what stands in front of the screen, in {100 * cut.rows:.0f} % of the rows by up to "
            f"{1000 * cut.most:.1f} ‰: raise convergence, or set floating_window of Stereo Combine to "
            f"{math.ceil(1000 * cut.most) / 10:.1f}."
        )


def _jumps(jumps: Iterable[tuple[int, float]], cuts: Mapping[int, int], viewing: Viewing) -> Iterable[str]:
    for place, share in jumps:
        degrees = viewing.degrees(share)
        if abs(degrees) > _JUMP:
            yield (
                f"At the cut before frame {cuts[place] + 1} depth jumps by {abs(degrees):.1f}° "
                f"{'towards' if degrees > 0 else 'away from'} the viewer: give both scenes the same depth on the "
                "screen (screen subject)."
            )


def _doubts(pair: PairFacts) -> Iterable[str]:
    if pair.matched <= _FEW:
        found = f"Only {100 * pair.matched:.0f} % of left is found in right"
        yield f"{found}: are they two views of one scene? If not, what follows means nothing."
    if pair.agreement < _OPPOSED:
        yield (
            "What depth calls near is far in the views: left and right are exchanged, or the depth map is inverted. "
            "Connect them the other way round, or make the map white where it is near."
        )
    elif pair.exchanged and pair.agreement < -_OPPOSED and pair.matched > _FEW:
        yield (
            "left and right seem to be exchanged: beside near things each shows what only the other eye would see. "
            "Connect them the other way round, and look at both in Stereo Preview."
        )


def _vertical(share: float) -> str:
    told = f"Vertical disparity: {1000 * share:.1f} ‰ of the height"
    return f"{told}; above {_VERTICAL:g} ‰ it tires, align the views first." if 1000 * share > _VERTICAL else told + "."
