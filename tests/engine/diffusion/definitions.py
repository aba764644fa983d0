"""Published definitions of samplers that diffusers does not have, in the plainest form, to compare ours with.

All are in float64 and in the variables of their papers: t = -log(sigma), phi functions by expm1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Model = Callable[[Tensor, float], Tensor]
Draw = Callable[[], Tensor]
Path = Callable[[float, float], Tensor]


def to_d(x: Tensor, sigma: float, denoised: Tensor) -> Tensor:
    return (x - denoised) / sigma


def ancestral(start: float, end: float, eta: float) -> tuple[float, float]:
    up = min(end, eta * (end**2 * (start**2 - end**2) / start**2) ** 0.5)
    return (end**2 - up**2) ** 0.5, up


def dpmpp_2s_ancestral(
    model: Model, x: Tensor, sigmas: list[float], draw: Draw, eta: float, s_noise: float
) -> Tensor:
    for start, end in zip(sigmas[:-1], sigmas[1:], strict=True):
        denoised = model(x, start)
        down, up = ancestral(start, end, eta)
        if down == 0:
            x = x + to_d(x, start, denoised) * (down - start)
        else:
            t, t_next = -math.log(start), -math.log(down)
            h = t_next - t
            s = t + h / 2
            x_2 = math.exp(-s) / math.exp(-t) * x - math.expm1(-h / 2) * denoised
            x = math.exp(-t_next) / math.exp(-t) * x - math.expm1(-h) * model(x_2, math.exp(-s))
        if end > 0:
            x = x + draw() * s_noise * up
    return x


def dpmpp_sde(model: Model, x: Tensor, sigmas: list[float], path: Path, eta: float, s_noise: float) -> Tensor:
    for start, end in zip(sigmas[:-1], sigmas[1:], strict=True):
        denoised = model(x, start)
        if end == 0:
            return x + to_d(x, start, denoised) * (end - start)
        t, t_next = -math.log(start), -math.log(end)
        middle = math.exp(-(t + (t_next - t) / 2))
        down, up = ancestral(start, middle, eta)
        t_down = -math.log(down)
        x_2 = math.exp(-t_down) / start * x - math.expm1(t - t_down) * denoised
        x_2 = x_2 + path(start, middle) * s_noise * up
        denoised_2 = model(x_2, middle)
        down, up = ancestral(start, end, eta)
        t_down = -math.log(down)
        x = math.exp(-t_down) / start * x - math.expm1(t - t_down) * denoised_2
        x = x + path(start, end) * s_noise * up
    return x


def dpmpp_3m_sde(model: Model, x: Tensor, sigmas: list[float], path: Path, eta: float, s_noise: float) -> Tensor:
    estimates: list[Tensor] = []
    lengths: list[float] = []
    for start, end in zip(sigmas[:-1], sigmas[1:], strict=True):
        denoised = model(x, start)
        if end == 0:
            return denoised
        h = math.log(start) - math.log(end)
        h_eta = h * (eta + 1)
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * denoised
        phi_2 = math.expm1(-h_eta) / h_eta + 1
        phi_3 = phi_2 / h_eta - 0.5
        if len(estimates) >= 2:
            r_0, r_1 = lengths[-1] / h, lengths[-2] / h
            d_10 = (denoised - estimates[-1]) / r_0
            d_11 = (estimates[-1] - estimates[-2]) / r_1
            d_1 = d_10 + (d_10 - d_11) * r_0 / (r_0 + r_1)
            d_2 = (d_10 - d_11) / (r_0 + r_1)
            x = x + phi_2 * d_1 - phi_3 * d_2
        elif estimates:
            x = x + phi_2 * (denoised - estimates[-1]) / (lengths[-1] / h)
        if eta:
            x = x + path(start, end) * end * math.sqrt(-math.expm1(-2 * h * eta)) * s_noise
        estimates.append(denoised)
        lengths.append(h)
    return x


class DpmSolver:
    """The single steps of the paper (its algorithms 1, 4 and 5), each by itself."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def eps(self, x: Tensor, t: float) -> Tensor:
        return (x - self.model(x, math.exp(-t))) / math.exp(-t)

    def step_1(self, x: Tensor, t: float, end: float) -> Tensor:
        return x - math.exp(-end) * math.expm1(end - t) * self.eps(x, t)

    def step_2(self, x: Tensor, t: float, end: float, r: float = 1 / 2) -> Tensor:
        h, eps = end - t, self.eps(x, t)
        s = t + r * h
        u = x - math.exp(-s) * math.expm1(r * h) * eps
        change = self.eps(u, s) - eps
        return x - math.exp(-end) * math.expm1(h) * eps - math.exp(-end) / (2 * r) * math.expm1(h) * change

    def step_3(self, x: Tensor, t: float, end: float) -> Tensor:
        h, eps, r_1, r_2 = end - t, self.eps(x, t), 1 / 3, 2 / 3
        s_1, s_2 = t + r_1 * h, t + r_2 * h
        u_1 = x - math.exp(-s_1) * math.expm1(r_1 * h) * eps
        change_1 = self.eps(u_1, s_1) - eps
        u_2 = x - math.exp(-s_2) * math.expm1(r_2 * h) * eps
        u_2 = u_2 - math.exp(-s_2) * (r_2 / r_1) * (math.expm1(r_2 * h) / (r_2 * h) - 1) * change_1
        change_2 = self.eps(u_2, s_2) - eps
        first = x - math.exp(-end) * math.expm1(h) * eps
        return first - math.exp(-end) / r_2 * (math.expm1(h) / h - 1) * change_2


def _target(t: float, t_next: float, t_end: float, eta: float) -> tuple[float, float]:
    """(time to step to, noise to add)."""
    if not eta:
        return t_next, 0.0
    down, _ = ancestral(math.exp(-t), math.exp(-t_next), eta)
    target = min(t_end, -math.log(down)) if down else t_end
    return target, math.sqrt(max(math.exp(-2 * t_next) - math.exp(-2 * target), 0))


def dpm_fast(model: Model, x: Tensor, high: float, low: float, calls: int, draw: Draw, eta: float) -> Tensor:
    solver, start, end = DpmSolver(model), -math.log(high), -math.log(low)
    count = calls // 3 + 1
    orders = [3] * (count - 2) + [2, 1] if calls % 3 == 0 else [3] * (count - 1) + [calls % 3]
    times = torch.linspace(start, end, count + 1, dtype=torch.float64).tolist()
    for order, t, t_next in zip(orders, times[:-1], times[1:], strict=True):
        target, up = _target(t, t_next, end, eta)
        x = {1: solver.step_1, 2: solver.step_2, 3: solver.step_3}[order](x, t, target)
        if up > 1e-9:
            x = x + up * draw()
    return x


def dpm_adaptive(model: Model, x: Tensor, high: float, low: float, draw: Draw, eta: float) -> Tensor:
    solver, s, end = DpmSolver(model), -math.log(high), -math.log(low)
    h, last = 0.05, x
    while s < end - 1e-5:
        t = min(end, s + h)
        target, up = _target(s, t, end, eta)
        low_order, high_order = solver.step_2(x, s, target, r=1 / 3), solver.step_3(x, s, target)
        delta = torch.maximum(torch.tensor(0.0078), 0.05 * torch.maximum(low_order.abs(), last.abs()))
        error = torch.linalg.norm((low_order - high_order) / delta).item() / x.numel() ** 0.5
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / (1.5 if eta else 3)) - 1)
        h *= factor
        if factor >= 0.81:
            last, x, s = low_order, high_order, t
            if up > 1e-9:
                x = x + up * draw()
    return x


def heun_with_churn(model: Model, x: Tensor, sigmas: list[float], draw: Draw, churn: dict[str, float]) -> Tensor:
    for start, end in zip(sigmas[:-1], sigmas[1:], strict=True):
        inside = churn["s_tmin"] <= start <= churn["s_tmax"]
        gamma = min(churn["s_churn"] / (len(sigmas) - 1), 2**0.5 - 1) if inside else 0.0
        hat = start * (1 + gamma)
        if gamma:
            x = x + draw() * churn["s_noise"] * (hat**2 - start**2) ** 0.5
        d = to_d(x, hat, model(x, hat))
        x_2 = x + d * (end - hat)
        x = x + (d + to_d(x_2, end, model(x_2, end))) / 2 * (end - hat) if end else x_2
    return x
