"""Train the small model on procedural scenes and save it in the files that ComfyUI loads.

python tools/toy/train.py                       25 minutes on a GPU
python tools/toy/train.py --pause-after 9       stop after 9 minutes; the same command again goes on
python tools/toy/train.py --tiny                a few steps on a CPU, to see that it runs
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.setup import environment  # noqa: E402

RUN = environment.ROOT / "output" / "toy"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; what is not given is chosen by the device."""
    parser = argparse.ArgumentParser(
        prog="python tools/toy/train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="of the scenes, the weights and every step; default 0")
    parser.add_argument("--minutes", type=float, help="of the whole training, evaluation included; default 25")
    parser.add_argument("--pause-after", type=float, metavar="MINUTES", help="save then and stop; run again to go on")
    parser.add_argument("--size", type=int, help="rows and columns of the pictures, a multiple of 8; default 128")
    parser.add_argument("--scenes", type=int, help="to learn from; default 40000, on a CPU 1500")
    parser.add_argument("--vae-steps", type=int, help="at most; time may end them earlier")
    parser.add_argument("--vae-batch", type=int, metavar="N", help="pictures in a step; default 64, on a CPU 8")
    parser.add_argument("--steps", type=int, help="of the U-Net, at most; time may end them earlier")
    parser.add_argument("--batch", type=int, metavar="N", help="latents in a step; default 256, on a CPU 16")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="default: cuda where there is one")
    parser.add_argument(
        "--run", type=Path, default=RUN, metavar="FOLDER", help="state and pictures; default output/toy"
    )
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="for the files; default: weights in the run's")
    parser.add_argument("--tiny", action="store_true", help="a few steps of everything")
    options = parser.parse_args(arguments)
    if options.size is not None and (options.size % 8 or options.size < 32):
        parser.error("--size is a multiple of 8, 32 or more")
    return options


def main() -> int:
    options = parse()
    environment.enter(__file__)
    # Only inside the environment: these import torch.
    import torch

    from tools.host.server import ServerError, find_host
    from tools.toy import evaluation, networks, training, weights

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    settings = training.Settings(device=device)
    if device == "cpu":
        settings = replace(settings, scenes=1500, vae_batch=8, batch=16)
    if options.tiny:
        settings = replace(settings, size=64, scenes=8, vae_steps=3, vae_batch=2, steps=3, batch=2)
    given = {name: value for name, value in vars(options).items() if name in vars(settings) and value is not None}
    settings = replace(settings, **given)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    try:
        networks.import_host(find_host(), cpu=device == "cpu")
        trainer = training.Trainer(settings, options.run, environment.say)
    except (ServerError, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    try:
        finished = trainer.run(options.pause_after)
    except KeyboardInterrupt:
        print(f"\nStopped; the state of at most two minutes ago is in {options.run}.", file=sys.stderr)
        return 130
    figures = evaluation.evaluate(trainer)
    environment.say("  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
    if not finished:
        environment.say("Paused. Run the same command again to go on.")
        return 0
    folder = options.export or options.run / "weights"
    weights.export(trainer, folder, figures, " ".join(["python tools/toy/train.py", *sys.argv[1:]]))
    for picture in ("samples.png", "reconstructions.png"):
        shutil.copy(options.run / picture, folder)
    environment.say(f"The model is in {folder}, {sum(f.stat().st_size for f in folder.iterdir()) / 1e6:.1f} MB.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the run, or after it, when the weights are written
        print("\nStopped. Run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
