"""Command line: `python -m tools.miniature STAGE --minutes N`; for a checkpoint, `evaluate FILE` and `sheet FILE`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from modules.schema.errors import UserError
from tools.miniature import evaluate, sheet, stages

EXAMS = ("evaluate", "sheet")
ROOT = Path(__file__).resolve().parents[2]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m tools.miniature", description=stages.__doc__)
    result.add_argument("stage", choices=(*stages.STAGES, "all", *EXAMS))
    result.add_argument("file", type=Path, nargs="?", help="evaluate, sheet: the checkpoint to draw with")
    result.add_argument("--minutes", type=float, help="wall time of this stage, or of all of them together")
    result.add_argument("--steps", type=int, help="steps of a training stage, instead of minutes")
    result.add_argument("--device", default="cpu", help="cpu or cuda")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--work", type=Path, default=ROOT / "cache" / "miniature", help="folder of the run's state")
    result.add_argument("--pictures", type=int, default=stages.PICTURES, help="how many drawings to learn from")
    result.add_argument("--processes", type=int, default=0, help="processes at work (default: one for each core)")
    result.add_argument("--batch", type=int, help="samples a step")
    result.add_argument("--count", type=int, default=300, help="evaluate: how many prompts")
    result.add_argument("--json", type=Path, help="evaluate: file for all that was found")
    result.add_argument("--out", type=Path, default=Path("sheet.png"), help="sheet: the PNG to write")
    return result


def _examine(options: argparse.Namespace) -> int:
    if options.file is None or not options.file.is_file():
        parser().error(f"{options.stage} needs the file of a checkpoint, as in: {options.stage} FILE")
    try:
        if options.stage == "evaluate":
            evaluate.main(options.file, options.count, options.json, device=options.device, seed=options.seed)
        else:
            sheet.main(options.file, options.out, device=options.device)
    except UserError as error:
        parser().error(str(error))
    return 0


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.stage in EXAMS:
        return _examine(options)
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
