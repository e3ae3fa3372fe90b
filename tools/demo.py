"""Make a stereo pair with the real ComfyUI and leave it in output/.

python tools/demo.py                               the example that comes with the pack, with its true depth
python tools/demo.py --image A.jpg --depth B.png   your picture and its depth map (white is near)
python tools/demo.py --workflow NAME --image A.jpg another of the shipped workflows
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.host import workflow_file  # noqa: E402
from tools.setup import environment  # noqa: E402

OUTPUT = environment.ROOT / "output"
DEFAULT_WORKFLOW = "image_depth_to_stereo"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line and check what can be checked before anything is set up or started."""
    names = workflow_file.names()
    parser = argparse.ArgumentParser(
        prog="python tools/demo.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", type=Path, metavar="FILE", help="the picture; it becomes the left view")
    parser.add_argument("--depth", type=Path, metavar="FILE", help="its depth map: white is near, 8 or 16 bits")
    parser.add_argument("--video", type=Path, metavar="FILE", help="the clip, for the video workflows")
    parser.add_argument("--max-disparity", type=float, metavar="PERCENT", help="of the nearest point, of the width")
    parser.add_argument("--workflow", metavar="NAME", default=DEFAULT_WORKFLOW, help=f"one of: {', '.join(names)}")
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=OUTPUT, help="default: output, in the clone")
    options = parser.parse_args(arguments)
    if options.workflow not in names:
        parser.error(f"there is no workflow {options.workflow}; shipped are: {', '.join(names)}")
    for file in (options.image, options.depth, options.video):
        if file is not None and not file.is_file():
            parser.error(f"there is no file {file}")
    if any(place.exists() and not place.is_dir() for place in (options.output, *options.output.parents)):
        parser.error(f"--output {options.output} is not a folder, or lies in a file")
    if options.depth is not None and options.image is None:
        parser.error("--depth needs --image, the picture it belongs to")
    if options.workflow == DEFAULT_WORKFLOW and options.image is not None and options.depth is None:
        parser.error("--image needs --depth here; without a depth map use --workflow image_to_stereo")
    if options.max_disparity is not None and options.max_disparity < 0:
        parser.error("--max-disparity is a percentage of the width, 0 or more")
    return options


def main() -> int:
    options = parse()
    environment.enter(__file__)
    environment.stop_on_signals()  # so that the server is stopped then, too

    from tools import demo_run
    from tools.host.server import ServerError

    start = time.perf_counter()
    try:
        demo_run.run(options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except (ServerError, demo_run.WorkflowError, environment.SetupError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{environment.explain_os_error(error)}", file=sys.stderr)
        return 1
    print(f"{time.perf_counter() - start:.1f} seconds in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
