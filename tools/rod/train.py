"""Train the measuring rod on rendered scenes, on a CPU, in the background of other work.

python tools/rod/train.py --state ~/rod.pt                  four hours at the lowest priority, on one thread
python tools/rod/train.py --state ~/rod.pt --pause-after 30 stop after half an hour; the same command again goes on
python tools/rod/train.py --state ~/rod.pt --minutes 600    train further, to ten hours in all
python tools/rod/train.py --tiny                            a few steps, to see that it runs
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.setup import environment  # noqa: E402

STATE = environment.ROOT / "output" / "rod" / "training.pt"
_NICE = 19


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python tools/rod/train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="FILE", help="to go on from; default output/rod/training.pt"
    )
    parser.add_argument("--minutes", type=float, help="of all sittings together; default 240")
    parser.add_argument("--pause-after", type=float, metavar="MINUTES", help="save then and stop; run again to go on")
    parser.add_argument("--threads", type=int, default=1, help="default 1")
    parser.add_argument("--columns", type=int, help="of the latent, an even number from 12 on; default 16")
    parser.add_argument("--frames", type=int, help="of a clip, below each other in one latent; default 1")
    parser.add_argument("--scenes", type=int, help="to learn from; default 4096")
    parser.add_argument("--steps", type=int, help="at most; time ends them earlier")
    parser.add_argument("--batch", type=int, metavar="N", help="latents in a step; default 16")
    parser.add_argument("--seed", type=int, help="of the scenes, the weights and every step; default 0")
    parser.add_argument(
        "--start", type=Path, metavar="FOLDER", help="of exported weights to begin from, of any columns"
    )
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="for the weights; default: beside the state")
    parser.add_argument("--tiny", action="store_true", help="a few steps")
    options = parser.parse_args(arguments)
    if options.columns is not None and (options.columns % 2 or options.columns < 12):
        parser.error("--columns is an even number from 12 on")
    if options.threads < 1 or (options.frames is not None and options.frames < 1):
        parser.error("--threads and --frames are 1 or more")
    return options


def main() -> int:
    options = parse()
    environment.enter(__file__)
    if hasattr(os, "nice"):  # Windows has none
        os.nice(_NICE)
    # Only inside the environment: these import torch.
    import torch

    from tools.host.server import ServerError, find_host
    from tools.rod import training, weights
    from tools.toy.networks import import_host

    settings = training.Settings()
    if options.tiny:
        settings = replace(settings, scenes=8, held_out=16, steps=3, batch=2)
    given = {name: value for name, value in vars(options).items() if name in vars(settings) and value is not None}
    settings = replace(settings, **given)
    torch.set_num_threads(options.threads)
    state = options.state.expanduser()
    try:
        start = None
        if options.start:
            start, _ = weights.read(options.start)
            settings = replace(settings, begun_from=weights.checksum(options.start))
        import_host(find_host(), cpu=True)
        trainer = training.Trainer(settings, state, environment.say, start)
    except (ServerError, ValueError, FileNotFoundError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    try:
        finished = trainer.run(options.pause_after)
    except KeyboardInterrupt:
        print(f"\nStopped; the state of at most two minutes ago is in {state}.", file=sys.stderr)
        return 130
    folder = options.export or state.parent / "weights"
    told = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    told += ["--start FOLDER"] if options.start else []
    weights.export(trainer, folder, " ".join(["python tools/rod/train.py", *told]))
    weights.draw_sheet(trainer, folder, *((1, 2) if options.tiny else ()))
    environment.say(f"The rod is in {folder}, with a sheet of samples; {trainer.seen} pictures seen.")
    if not finished:
        environment.say("Paused. Run the same command again to go on.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the run, or after it, when the weights are written
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
