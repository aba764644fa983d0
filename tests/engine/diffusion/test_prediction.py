import math

import pytest
import torch
from torch import Tensor

from modules.engine.diffusion.prediction import denoiser
from tests.engine.diffusion.fakes import SD1

X0 = torch.tensor([[[[0.3, -1.2]]]])
NOISE = torch.tensor([[[[0.9, 0.4]]]])
CROSS = torch.zeros(1, 77, 8)


class Oracle:
    """A network that knows the picture and the noise, and answers in the asked way."""

    def __init__(self, prediction: str) -> None:
        self.prediction, self.asked = prediction, []

    def __call__(self, x: Tensor, t: Tensor, cross: Tensor) -> Tensor:
        self.asked.append((x, t, cross))
        if self.prediction == "epsilon":
            return NOISE
        a = 1 / (1 + SD1.t_to_sigma(t[0].item()) ** 2)
        return math.sqrt(a) * NOISE - math.sqrt(1 - a) * X0


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize("sigma", [SD1.sigma_min, 0.5, 3.0, SD1.sigma_max])
def test_picture_is_recovered(prediction: str, sigma: float) -> None:
    network = Oracle(prediction)
    x = X0 + sigma * NOISE
    torch.testing.assert_close(denoiser(network, SD1, prediction)(x, sigma, CROSS), X0, rtol=0, atol=2e-5)
    seen, t, cross = network.asked[0]
    torch.testing.assert_close(seen, x / math.sqrt(sigma**2 + 1))
    assert t.shape == (1,)
    assert t.item() == pytest.approx(SD1.sigma_to_t(sigma), abs=1e-4)
    assert cross is CROSS


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_both_predictions_are_one_thing(prediction: str) -> None:
    """An epsilon network and the v network that says the same give the same estimate, at a batch of 3."""
    x, sigma = torch.randn(3, 4, 5, 5), 2.5
    eps = torch.sin(x)
    root = math.sqrt(1 + sigma**2)
    v = eps / root - sigma / root * (x - sigma * eps)
    outputs = {"epsilon": eps, "v": v}
    estimate = denoiser(lambda *_: outputs[prediction], SD1, prediction)(x, sigma, CROSS)
    torch.testing.assert_close(estimate, x - sigma * eps, rtol=1e-5, atol=1e-5)


def test_quantized_asks_for_trained_timesteps() -> None:
    network = Oracle("epsilon")
    denoiser(network, SD1, "epsilon", quantize=True)(X0, SD1.t_to_sigma(421.7), CROSS)
    assert network.asked[0][1].item() == 422
