"""A training's request by itself."""

from __future__ import annotations

from modules.schema.training import TrainingRequest


def test_who_says_no_rate_gets_the_usual_one_of_what_is_learned() -> None:
    assert TrainingRequest(name="a").learn_rate == "0.005"
    assert TrainingRequest(name="a", method="LoRA").learn_rate == "0.0001"
    assert TrainingRequest(name="a", method="LoRA", learn_rate="0.002").learn_rate == "0.002"
    again = TrainingRequest.model_validate_json(TrainingRequest(name="a", method="LoRA").model_dump_json())
    assert again.learn_rate == "0.0001"
