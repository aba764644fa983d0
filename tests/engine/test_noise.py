"""Seeds to noise: A1111's vectors, subseeds, seed resize, ENSD, and pictures that do not know of their neighbours."""

from __future__ import annotations

import pytest
import torch

from modules.engine.diffusion.noise import NoiseStream, Source, generator, paste_centred, slerp
from modules.engine.diffusion.philox import philox_normal, philox_words

CPU = torch.device("cpu")
SHAPE = (4, 16, 24)
SOURCES: tuple[Source, ...] = ("CPU", "GPU", "NV")

PHILOX = [
    (0, (-0.924663, -0.425344, -2.643846, 0.145184, -0.120866, -0.579726), (0.180826, -0.552263, 0.923813)),
    (1, (-0.296278, 2.676448, -0.140846, -0.844095, 0.290538, -0.283831), (-0.633984, -0.643132, -0.642014)),
    (42, (0.194019, 2.161374, -0.172051, 0.849060, -1.924399, 0.652985), (0.139138, -0.108217, -0.717422)),
    (31337, (0.601324, 0.034785, 0.015346, -1.685443, -0.043010, -0.877871), (-0.603510, -1.506804, -0.893919)),
    (1234567890, (0.236178, 1.263390, -0.542224, -0.683768, 1.500428, 1.477517), (1.530467, -0.264086, -0.665276)),
    (4294967303, (-0.282736, -1.012804, 0.009529, 0.447085, 1.580359, 0.953698), (-2.020370, 0.651046, -1.430146)),
]


def stream(seeds: list[int], **options: object) -> NoiseStream:
    settings: dict[str, object] = {"source": "CPU", "device": CPU, "subseeds": [s + 100 for s in seeds], **options}
    return NoiseStream(seeds, shape=SHAPE, **settings)  # type: ignore[arg-type]


def torch_noise(seed: int, shape: tuple[int, ...] = SHAPE, skip: int = 0) -> torch.Tensor:
    own = torch.Generator("cpu").manual_seed(seed)
    for _ in range(skip):
        torch.randn(SHAPE, generator=own)
    return torch.randn(shape, generator=own)


@pytest.mark.parametrize(("seed", "first", "second"), PHILOX, ids=[str(v[0]) for v in PHILOX])
def test_philox_vectors(seed: int, first: tuple[float, ...], second: tuple[float, ...]) -> None:
    own = generator(seed, "NV", CPU)
    assert own.draw((2, 3)).flatten().tolist() == pytest.approx(first, abs=1.01e-6)
    assert own.draw((3,)).tolist() == pytest.approx(second, abs=1.01e-6)


def test_philox_raw_words() -> None:
    words = [int(word[0, 0]) for word in philox_words([0], 0, 1, CPU)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_philox_against_plain_integers() -> None:
    """The same rounds in Python's own integers, for other seeds, offsets and elements."""

    def plain(seed: int, offset: int, element: int) -> list[int]:
        c, k = [offset, 0, element, 0], [seed & 0xFFFFFFFF, seed >> 32]
        for _ in range(10):
            p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
            c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
            k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
        return c

    seeds = [0, 2**64 - 1, 987654321987654321]
    for offset in (0, 1, 77):
        words = torch.stack(philox_words(seeds, offset, 50, CPU), dim=-1)
        for row, seed in enumerate(seeds):
            assert words[row].tolist() == [plain(seed, offset, element) for element in range(50)]


def test_philox_is_normal() -> None:
    shape = (4, 64, 64)
    noise = philox_normal(list(range(20)), shape, offset=0, device=CPU)
    assert noise.dtype == torch.float32
    assert abs(noise.mean().item()) < 0.01
    assert abs(noise.std().item() - 1) < 0.01
    assert torch.isfinite(noise).all()


def test_slerp_vector() -> None:
    a, b = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]), torch.tensor([[[0.0, 1.0], [2.0, 0.0]]])
    expected = torch.tensor([[[0.923880, 0.382683], [0.765367, 1.847759]]])
    assert torch.allclose(slerp(0.25, a, b), expected, atol=1e-6)


def test_slerp_of_parallel_tensors_exchanges_the_weights() -> None:
    a = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(slerp(0.25, a, 3 * a), 0.25 * a + 0.75 * 3 * a)


def test_slerp_is_finite_where_single_columns_are_parallel() -> None:
    a = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))
    b = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(2))
    b[:, :, 3] = 2 * a[:, :, 3]
    mixed = slerp(0.5, a, b)
    assert torch.isfinite(mixed).all()
    assert torch.allclose(mixed[:, :, 3], 1.5 * a[:, :, 3], atol=1e-4)
    assert mixed.std().item() == pytest.approx(1.0, abs=0.2)


def test_initial_noise_is_torchs_own_for_the_cpu_source() -> None:
    noise = stream([5, 6])
    assert torch.equal(noise.initial(), torch.stack([torch_noise(5), torch_noise(6)]))
    assert torch.equal(noise.next()[1], torch_noise(6, skip=1))
    assert torch.equal(noise.next()[0], torch_noise(5, skip=2))


def test_subseed_is_mixed_by_slerp() -> None:
    noise = stream([5], subseeds=[9], subseed_strength=0.3)
    assert torch.equal(noise.initial()[0], slerp(0.3, torch_noise(5), torch_noise(9)))
    assert torch.equal(noise.next()[0], torch_noise(5, skip=1))


def test_subseed_at_full_strength_is_the_subseeds_noise() -> None:
    assert torch.allclose(stream([5], subseeds=[9], subseed_strength=1.0).initial()[0], torch_noise(9), atol=1e-5)


@pytest.mark.parametrize(("width", "height"), [(12, 8), (40, 30), (12, 30), (23, 17), (24, 9), (37, 29)])
def test_seed_resize_keeps_the_old_noise_in_the_middle(width: int, height: int) -> None:
    initial = stream([5], resize_from=(width, height)).initial()[0]
    old, fresh = torch_noise(5, (4, height, width)), torch_noise(5)
    for channel, row, column in [(0, 0, 0), (1, 8, 12), (3, 15, 23), (2, 4, 7), (0, 8, 0), (0, 0, 12)]:
        y, x = row - (SHAPE[1] - height) // 2, column - (SHAPE[2] - width) // 2
        # Cropped sizes have the parity of the old one: a last odd row or column stays fresh.
        crop_y, crop_x = max(0, -((SHAPE[1] - height) // 2)), max(0, -((SHAPE[2] - width) // 2))
        inside = crop_y <= y < height - crop_y and crop_x <= x < width - crop_x
        expected = old[channel, y, x] if inside else fresh[channel, row, column]
        assert initial[channel, row, column] == expected


def test_seed_resize_to_the_same_size_changes_nothing() -> None:
    resized = stream([5], resize_from=(SHAPE[2], SHAPE[1]))
    assert torch.equal(resized.initial(), stream([5]).initial())


def test_seed_resize_mixes_the_subseed_at_the_old_size() -> None:
    old = slerp(0.4, torch_noise(5, (4, 8, 12)), torch_noise(9, (4, 8, 12)))
    initial = stream([5], subseeds=[9], subseed_strength=0.4, resize_from=(12, 8)).initial()[0]
    assert torch.equal(initial, paste_centred(old, torch_noise(5)))


def test_ensd_moves_only_the_later_noise() -> None:
    plain, moved = stream([5]), stream([5], ensd=31337)
    assert torch.equal(plain.initial(), moved.initial())
    assert torch.equal(moved.next()[0], torch_noise(5 + 31337))


@pytest.mark.parametrize("source", SOURCES)
def test_negative_ensd_beyond_the_seed(source: Source) -> None:
    noise = stream([5], ensd=-10, source=source)
    noise.initial()
    assert torch.isfinite(noise.next()).all()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", [{}, {"ensd": 7}, {"subseed_strength": 0.2}, {"resize_from": (10, 30)}])
def test_pictures_of_a_batch_equal_single_ones(source: Source, options: dict[str, object]) -> None:
    seeds = [11, 12, 13]
    batch = stream(seeds, source=source, **options)
    singles = [stream([seed], source=source, **options) for seed in seeds]
    for draw in (NoiseStream.initial, NoiseStream.next, NoiseStream.next):
        assert torch.equal(draw(batch), torch.cat([draw(single) for single in singles]))
    path = batch.brownian(0.03, 14.6)
    paths = [single.brownian(0.03, 14.6) for single in singles]
    for a, b in [(14.6, 7.0), (7.0, 0.5)]:
        assert torch.equal(path(a, b), torch.cat([single(a, b) for single in paths]))


@pytest.mark.parametrize("source", SOURCES)
def test_same_seed_same_noise_other_seed_other_noise(source: Source) -> None:
    assert torch.equal(stream([3], source=source).initial(), stream([3], source=source).initial())
    two = stream([3, 4], source=source).initial()
    assert not torch.allclose(two[0], two[1])
    assert two.shape == (2, *SHAPE)
    assert two.dtype == torch.float32


def test_sources_differ() -> None:
    assert not torch.allclose(stream([3], source="NV").initial(), stream([3], source="CPU").initial())
