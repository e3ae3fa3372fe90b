"""Turn a film of any length into a stereo film. Again, with the same words, goes on where it was stopped.

python tools/film.py FILM.mp4 --model MODEL                       depth by a model, on this machine
python tools/film.py FILM.mp4 --depth DEPTH.mp4                   a film of depth maps (white is near)
python tools/film.py FILM.mp4 --model MODEL --folder /shared/work on each machine that sees both: they share the work
python tools/film.py FILM.mp4 --model MODEL --segments 0:12       pieces 0 to 11 only, for a queue of jobs
python tools/film.py FILM.mp4 --model MODEL --ray A:6379          on all machines of the Ray cluster that A heads

MODEL is a folder or file as Load Depth Model takes it, or a file of Depth Anything 3 or MoGe.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.setup import environment  # noqa: E402

# What the nodes' messages begin with, and what the command calls it.
_CALLED = {
    "filename_prefix": "--output",
    "codec": "--codec",
    "tags": "--tags",
    "video": "FILM",
    "depth": "--depth",
    "model_name": "--model",
}
# As the nodes have them, which cannot be imported before the environment is there.
FORMATS = (
    *("full_sbs", "half_sbs", "cross_eyed", "full_tb", "half_tb"),
    *(f"anaglyph_{kind}" for kind in ("dubois", "color", "half_color", "gray", "green_magenta", "amber_blue")),
    *("interlaced_rows", "interlaced_columns", "checkerboard", "rgb_depth"),
)
CODECS = (
    *("h264", "hevc", "av1", "hevc_10bit", "av1_10bit", "h264_10bit"),
    *("h264_nvenc", "hevc_nvenc", "av1_nvenc"),
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line and check what can be checked before anything is set up or loaded."""
    parser = argparse.ArgumentParser(
        prog="python tools/film.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("film", type=Path, metavar="FILM")
    depth = parser.add_mutually_exclusive_group(required=True)
    depth.add_argument("--model", type=Path, metavar="MODEL", help="folder or file of a depth model")
    depth.add_argument("--depth", type=Path, metavar="FILM", help="a film of depth maps, white is near")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: beside FILM, named as players want it")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="for the work; default: beside the output")
    parser.add_argument("--segments", metavar="FIRST:END", help="only these pieces, counted from 0")
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        type=_address,
        metavar="HOST:PORT",
        help="hand the pieces out on a Ray cluster that sees all files; alone: the one of this machine",
    )
    parser.add_argument(
        "--workers",
        type=_number(1, 1024, int),
        metavar="COUNT",
        help="with --ray; default: one for each graphics card, or without any for each machine",
    )
    seconds = _number(1, 600)
    parser.add_argument("--segment-seconds", type=seconds, metavar="SECONDS", default=10.0, help="default 10")
    parser.add_argument("--keep-segments", action="store_true", help="leave the pieces in their folder")
    parser.add_argument("--cpu", action="store_true", help="even if there is a graphics card")
    _add_settings(parser)
    options = parser.parse_args(arguments)
    for file in (options.film, options.depth):
        if file is not None and not file.is_file():
            parser.error(f"there is no file {file}")
    if options.model is not None and not options.model.exists():
        parser.error(f"there is no file or folder {options.model}")
    if options.output is not None:
        _expect_output(parser, options)
    options.segments = _segments(parser, options.segments)
    if options.ray is not None and options.segments is not None:
        parser.error("--ray hands out all pieces; leave out --segments")
    if options.ray is None and options.workers is not None:
        parser.error("--workers is for --ray; leave it out")
    return options


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what the nodes have, too, with their defaults."""
    percent, share = _number(0, 30), _number(0, 1)
    views = parser.add_argument_group("views, as Stereo Video File and Stereo Film Options have them")
    views.add_argument("--max-disparity", type=percent, metavar="PERCENT", default=3.0, help="0 to 30, default 3")
    views.add_argument("--convergence", type=share, metavar="DEPTH", default=0.5, help="0 far to 1 near, default 0.5")
    views.add_argument("--screen", choices=("value", "percentile", "subject"), default="value", help="default value")
    views.add_argument("--rendering", choices=("best", "fast", "detail"), default="best", help="default best")
    views.add_argument("--exponent", type=_number(0.1, 5), metavar="POWER", default=1.0, help="0.1 to 5, default 1")
    views.add_argument("--balance", type=share, metavar="SHARE", default=0.0, help="0 to 1, default 0")
    views.add_argument(
        "--edge-growth", type=_number(0, 16, int), metavar="PIXELS", default=0, help="0 to 16, default 0"
    )
    views.add_argument(
        "--depth-edges", choices=("as_given", "sharpened"), default="sharpened", help="default sharpened"
    )
    views.add_argument("--fill-from", choices=("frame", "clip"), default="frame", help="default frame")
    file = parser.add_argument_group("file")
    file.add_argument("--format", choices=FORMATS, default="full_sbs", help="default full_sbs")
    file.add_argument("--codec", choices=CODECS, default="h264", help="*_nvenc: by an NVIDIA card; default h264")
    file.add_argument("--quality", choices=("best", "high", "medium", "small"), default="high", help="default high")
    file.add_argument("--container", choices=("auto", "mp4", "mkv"), default="auto", help="default: as --output ends")
    file.add_argument(
        "--tags", choices=("container", "container_and_stream", "none"), default="container", help="default container"
    )
    depth = parser.add_argument_group("depth, as Stereo Film Depth has it")
    pixels = _number(0, 4096, int)
    depth.add_argument("--resolution", type=pixels, metavar="PIXELS", default=0, help="of the model; 0: its own")
    frames = _number(1, 256, int)
    depth.add_argument("--batch-size", type=frames, metavar="FRAMES", default=4, help="of the model, default 4")
    clipped = _number(0, 10)
    depth.add_argument("--percentile", type=clipped, metavar="PERCENT", default=0.5, help="0 to 10, default 0.5")
    depth.add_argument("--no-stabilize", action="store_true", help="leave jumps of the depth as they are")
    depth.add_argument("--invert", action="store_true", help="of --depth: black is near")


def _number(low: float, high: float, kind: type = float) -> Callable[[str], float]:
    """Return what reads a number within a range; the parser names the option where it raises."""

    def read(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"give a number from {low} to {high}")
        return value

    return read


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdigit()):
        raise argparse.ArgumentTypeError(f"{text} is no address; give HOST:PORT, such as A:6379, or put --ray last")
    return text


def _expect_output(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    output = options.output
    if not output.parent.is_dir():
        parser.error(f"--output {output}: there is no folder {output.parent}")
    if output.is_dir():
        parser.error(f"--output {output} is a folder; give the name of a file")
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("mp4", "mkv"):
        parser.error(f"--output {output}: give a name that ends with .mp4 or .mkv")
    if options.container not in ("auto", kind):
        parser.error(f"--output {output}: --container is {options.container}; give a name that ends so")
    if kind == "mkv":
        options.container = kind
    if any(file is not None and output.exists() and output.samefile(file) for file in (options.film, options.depth)):
        parser.error(f"--output {output} is one of the films to be read; give another name")


def _segments(parser: argparse.ArgumentParser, text: str | None) -> range | None:
    if text is None:
        return None
    first, colon, end = text.partition(":")
    if not (colon and first.isdigit() and end.isdigit() and int(first) < int(end)):
        parser.error(f"--segments {text}: give FIRST:END, such as 0:12 for the first twelve pieces")
    return range(int(first), int(end))


def in_own_words(message: str) -> str:
    """Return a message of the nodes with what the command calls the input that it is about."""
    name, colon, rest = message.partition(":")
    return f"{_CALLED.get(name, name)}{colon}{rest}"


def main() -> int:
    options = parse()
    environment.enter(__file__)
    environment.stop_on_signals()

    try:
        if options.ray is not None:
            from tools import film_ray

            return film_ray.run(options)
        from tools import film_run

        return film_run.run(options)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on.", file=sys.stderr)
        return 130
    except (ValueError, environment.SetupError) as error:
        print(f"\n{in_own_words(str(error))}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{environment.explain_os_error(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
