"""Command line: `python -m tools.miniature STAGE --minutes N`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.miniature import stages

ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m tools.miniature", description=stages.__doc__)
    result.add_argument("stage", choices=(*stages.STAGES, "all"))
    result.add_argument("--minutes", type=float, help="wall time of this stage, or of all of them together")
    result.add_argument("--steps", type=int, help="steps of a training stage, instead of minutes")
    result.add_argument("--device", default="cpu", help="cpu or cuda")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--work", type=Path, default=ROOT / "cache" / "miniature", help="folder of the run's state")
    result.add_argument("--pictures", type=int, default=stages.PICTURES, help="how many drawings to learn from")
    result.add_argument("--processes", type=int, default=0, help="processes at work (default: one for each core)")
    result.add_argument("--batch", type=int, help="samples a step")
    return result


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    job = stages.Job(
        work=options.work,
        device=options.device,
        seed=options.seed,
        pictures=options.pictures,
        processes=options.processes,
        batch=options.batch,
    )
    return 0 if stages.run(options.stage, job, options.minutes, options.steps) else 1


if __name__ == "__main__":
    sys.exit(main())
