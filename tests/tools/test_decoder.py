"""The decoder learns alone: what the code says of a picture stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tools.miniature import stages
from tools.miniature.autoencoder import decode_latents, encode_shard
from tools.miniature.dataset import pixels_of
from tools.miniature.nets import Sizes, working_dtype
from tools.miniature.stages import Job

TINY = Sizes(vae_channels=(16, 16, 32, 32), vae_groups=4)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A few drawings, an autoencoder that has hardly begun, and their latents."""
    job = Job(tmp_path_factory.mktemp("miniature"), pictures=24, processes=1, sizes=TINY, batch=4)
    for stage, steps in (("draw", None), ("autoencoder", 3), ("latents", None)):
        assert stages.run(stage, job, 1.0, steps)
    return job


def _far(job: Job) -> float:
    """Mean distance, in levels of 255, of what is decoded from the latents of native size to their drawings."""
    shard = job.shards[0]
    latents = torch.from_numpy(np.load(job.latents(shard))).float()
    decoded = decode_latents(stages.painter(job), latents)
    return float(np.abs(decoded.astype(int) - pixels_of(shard)).mean())


def test_the_decoder_learns_and_the_code_stays(job: Job, tmp_path: Path) -> None:
    before, latents = _far(job), np.load(job.latents(job.shards[0]))
    assert stages.run("decoder", job, 1.0, 40)
    assert _far(job) < 0.9 * before
    vae = stages.painter(job).to(working_dtype(torch.device("cpu")))
    encode_shard(vae, job.shards[0], tmp_path / "again.npy", torch.device("cpu"))
    assert np.array_equal(np.load(tmp_path / "again.npy"), latents)


def test_latents_of_another_code_are_refused(job: Job) -> None:
    assert stages.run("decoder", job, 1.0, 1)
    assert stages.run("autoencoder", job, 1.0, 2)  # another round
    assert stages.run("latents", job, 1.0, None)
    with pytest.raises(ValueError, match="trained on other data"):
        stages.run("decoder", job, 1.0, 1)
