"""Compare simulated tubes with the numbers measured on real marrows and print the tables of docs/methods/simulator.md.

Run ``python benchmarks/simulator_calibration.py [--patients 60]`` from the repository root (minutes on one core).

Marginals by population, shifts of blasts against normal B cells, and how separable blasts are. Separation is found as
for the measured figures: Gaussian mixtures (2 components for normal CD19+ cells, 5 for the others, 2 for blasts) fitted
to the gated, compensated singlets; Mahalanobis distances with the mean of both covariances; an oracle that knows both
mixtures, its cut set on 300,000 cells drawn from the normal ones. A second oracle works on the simulated cells
themselves, with one Gaussian per true population, because haematogones vanish inside a 2-component fit.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from flowmrd.home import PANELS
from flowmrd.panel.load import load_panel
from flowmrd.panel.model import PanelModel
from flowmrd.simulate import measured
from flowmrd.simulate.leukaemia import Leukaemia, draw_leukaemia
from flowmrd.simulate.populations import ADULT, AFTER_ANTI_B, DISEASED, REGENERATING, Code, Composition
from flowmrd.simulate.tube import Acquisition, SimulatedTube, TubeSpec, simulate_tube
from flowmrd.units import LOGICLE_M

Floats = npt.NDArray[np.float64]

GROUPS: dict[str, tuple[Code, ...]] = {
    "blast": (Code.LEUKAEMIC,),
    "normal_b": (Code.HAEMATOGONE_1, Code.HAEMATOGONE_2, Code.HAEMATOGONE_3, Code.MATURE_B, Code.PLASMA_CELL),
    "granulocyte_like": (Code.NEUTROPHIL, Code.IMMATURE_GRANULOCYTE),
    "lymphoid_like": (Code.T_NK,),
    "erythroid_like": (Code.ERYTHROBLAST,),
}
OTHER = tuple(code for code in Code if code not in GROUPS["blast"] + GROUPS["normal_b"] + (Code.DEBRIS, Code.DEAD))
CLEAN = Acquisition(doublets=0.0, debris=0.0, dead=0.0, aggregates=0.0)
QUANTILES = tuple(measured.QUANTILES)

BETWEEN_SD = {
    "blast": (0.386, 0.185, 0.467, 0.36, 0.608, 0.617, 0.618, 0.656, 0.513, 0.309),
    "normal_b": (0.268, 0.09, 0.457, 0.213, 0.206, 0.227, 0.189, 0.267, 0.225, 0.133),
    "granulocyte_like": (0.448, 0.466, 0.416, 0.214, 0.364, 0.182, 0.269, 0.219, 0.223, 0.216),
    "intermediate": (0.349, 0.238, 0.478, 0.169, 0.296, 0.206, 0.413, 0.248, 0.352, 0.268),
    "lymphoid_like": (0.314, 0.097, 0.469, 0.174, 0.193, 0.142, 0.28, 0.259, 0.212, 0.212),
    "erythroid_like": (0.311, 0.172, 0.467, 0.146, 0.189, 0.155, 0.283, 0.139, 0.192, 0.21),
}
"""Standard deviation over patients of the population mean (biology, staining and voltage together)."""

SEPARATION_QUANTILES = {
    "mahalanobis_blast_to_nearest_normal_b_component": (2.14, 3.208, 3.769, 4.767, 6.12, 7.336, 9.235, 10.147, 11.877),
    "mahalanobis_blast_to_nearest_other_component": (3.058, 3.747, 4.92, 6.28, 7.686, 9.174, 10.519, 11.477, 14.151),
    "mahalanobis_blast_mean_to_normal_b_mean": (4.28, 5.871, 6.514, 7.663, 8.988, 10.444, 12.206, 13.359, 15.241),
    "oracle_sensitivity_at_fpr_1e_3": (0.9, 0.994, 1, 1, 1, 1, 1, 1, 1),
    "oracle_sensitivity_at_fpr_1e_4": (0.611, 0.925, 0.981, 0.999, 1, 1, 1, 1, 1),
    "oracle_sensitivity_at_fpr_1e_5": (0.3, 0.772, 0.878, 0.988, 1, 1, 1, 1, 1),
}
"""Mahalanobis distances, and the sensitivity of an oracle that knows the true mixtures; quantiles over 332 patients."""


@dataclass(frozen=True)
class Mixture:
    """Gaussian mixture with full covariances."""

    weights: Floats
    means: Floats
    covariances: Floats

    def log_density(self, x: Floats) -> Floats:
        """Log density, shape (n,)."""
        parts = []
        for weight, mean, covariance in zip(self.weights, self.means, self.covariances, strict=True):
            lower = np.linalg.cholesky(covariance)
            z = np.linalg.inv(lower) @ (x - mean).T
            log_det = 2 * np.log(np.diag(lower)).sum()
            parts.append(
                np.log(weight) - 0.5 * (np.einsum("ij,ij->j", z, z) + log_det + x.shape[1] * np.log(2 * np.pi))
            )
        return np.asarray(np.logaddexp.reduce(parts, axis=0), dtype=np.float64)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw cells, shape (n, d); values outside the instrument range are drawn again, as in the measured figures."""
        x = np.empty((n, self.means.shape[1]))
        open_rows = np.arange(n)
        while open_rows.size:
            which = rng.choice(len(self.weights), open_rows.size, p=self.weights)
            for k in np.unique(which):
                rows = open_rows[which == k]
                lower = np.linalg.cholesky(self.covariances[k])
                x[rows] = self.means[k] + rng.standard_normal((rows.size, x.shape[1])) @ lower.T
            open_rows = open_rows[((x[open_rows] < 0) | (x[open_rows] > 4.45)).any(axis=1)]
        return x


def decades(tube: SimulatedTube) -> tuple[list[str], Floats]:
    """Markers and compensated decades of all events, shape (n, d)."""
    cytometer = tube.cytometer
    raw = np.stack([tube.columns[detector.pnn] for detector in cytometer.fluorescence], axis=1).astype(np.float64)
    linear = raw @ np.linalg.inv(cytometer.spill)
    scatter = [tube.columns[name] * (LOGICLE_M / 262144) for name in ("FSC-A", "SSC-A")]
    light = [cytometer.to_decades(linear[:, j], d) for j, d in enumerate(cytometer.fluorescence)]
    names = ["FSC-A", "SSC-A", *(detector.marker for detector in cytometer.fluorescence)]
    return names, np.stack([*scatter, *light], axis=1)


def fit(x: Floats, components: int, seed: int) -> Mixture:
    """Gaussian mixture of gated cells."""
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(components, random_state=seed, reg_covar=1e-4, max_iter=60, init_params="k-means++")
    model.fit(x[:8000])
    return Mixture(model.weights_, model.means_, model.covariances_)


def join(parts: list[tuple[float, Mixture]]) -> Mixture:
    """Mixture of mixtures."""
    total = sum(share for share, _ in parts)
    return Mixture(
        np.concatenate([share / total * mixture.weights for share, mixture in parts]),
        np.concatenate([mixture.means for _, mixture in parts]),
        np.concatenate([mixture.covariances for _, mixture in parts]),
    )


def moments(x: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of cells."""
    return x.mean(axis=0), np.cov(x.T)


def distance(a: Floats, cov_a: Floats, b: Floats, cov_b: Floats) -> float:
    """Mahalanobis distance with the mean of the two covariances."""
    difference = a - b
    return float(np.sqrt(difference @ np.linalg.solve((cov_a + cov_b) / 2, difference)))


def nearest(one: Mixture, two: Mixture) -> float:
    """Smallest distance between a component of one mixture and one of the other."""
    return min(
        distance(a, ca, b, cb)
        for a, ca in zip(one.means, one.covariances, strict=True)
        for b, cb in zip(two.means, two.covariances, strict=True)
    )


def inside(tube: SimulatedTube) -> tuple[Floats, npt.NDArray[Any]]:
    """Decades and population of the events inside the instrument range."""
    _, x = decades(tube)
    good = ((x > 0) & (x < 4.45)).all(axis=1)
    return x[good], tube.truth["population"][good]


def by_population(x: Floats, labels: npt.NDArray[Any], population: npt.NDArray[Any]) -> Mixture:
    """One Gaussian per true population, haematogones in slices along their main axis; weights from ``population``."""
    parts: list[tuple[float, Mixture]] = []
    for code in sorted(set(labels.tolist()) - {int(Code.LEUKAEMIC)}):
        cells = x[labels == code]
        slices = [cells]
        if code in GROUPS["normal_b"][:3]:
            axis = np.linalg.svd(cells - cells.mean(axis=0), full_matrices=False)[2][0]
            slices = [cells[part] for part in np.array_split(np.argsort(cells @ axis), 5)]
        share = max(int(np.count_nonzero(population == code)), 1) / len(slices)
        for part in slices:
            mean, covariance = moments(part)
            parts.append((share, Mixture(np.ones(1), mean[None], covariance[None])))
    return join(parts)


def sensitivity(blasts: Floats, normal: Floats, blast_model: Mixture, normal_model: Mixture, rate: float) -> float:
    """Share of blasts above the cut that leaves ``rate`` of the normal cells."""
    cut = np.quantile(normal_model_score(normal, blast_model, normal_model), 1 - rate)
    return float(np.mean(normal_model_score(blasts, blast_model, normal_model) > cut))


def normal_model_score(x: Floats, blast_model: Mixture, normal_model: Mixture) -> Floats:
    """Log likelihood ratio."""
    return blast_model.log_density(x) - normal_model.log_density(x)


@dataclass
class Result:
    """Figures gathered over patients."""

    means: dict[str, list[Floats]]
    sds: dict[str, list[Floats]]
    shifts: list[Floats]
    to_b: list[float]
    to_other: list[float]
    mean_to_mean: list[float]
    oracle: dict[float, list[float]]


def features_of(panel: PanelModel) -> list[str]:
    """Measured signals that the panel has."""
    names, _ = decades(simulate_tube(TubeSpec(500, acquisition=CLEAN), panel, 0))
    return [signal for signal in measured.MEASURED if signal in names]


def run_panel(panel: PanelModel, n_patients: int, seed: int, separation: bool) -> tuple[list[str], Result]:
    """Simulate diagnosis tubes of patients and gather the figures."""
    features = features_of(panel)
    result = Result({g: [] for g in GROUPS}, {g: [] for g in GROUPS}, [], [], [], [], {1e-3: [], 1e-4: [], 1e-5: []})
    for i in range(n_patients):
        rng = np.random.default_rng([seed, i])
        spec = TubeSpec(60_000, DISEASED, draw_leukaemia(rng), 0.3, person_seed=1000 + i, acquisition=CLEAN)
        tube = simulate_tube(spec, panel, seed * 1000 + i)
        names, x = decades(tube)
        x = x[:, [names.index(signal) for signal in features]]
        population = tube.truth["population"]
        cells = {group: x[np.isin(population, codes)] for group, codes in GROUPS.items()}
        for group, values in cells.items():
            result.means[group].append(values.mean(axis=0))
            result.sds[group].append(values.std(axis=0))
        result.shifts.append(cells["blast"].mean(axis=0) - cells["normal_b"].mean(axis=0))
        if not separation:
            continue
        inside = ((x > 0) & (x < 4.45)).all(axis=1)
        other = x[np.isin(population, OTHER) & inside]
        b, blast = cells["normal_b"], cells["blast"]
        mix_b, mix_other, mix_blast = fit(b, 2, i), fit(other, 5, i), fit(blast, 2, i)
        result.sds["blast"][-1] = np.sqrt(np.einsum("k,kii->i", mix_blast.weights, mix_blast.covariances))
        result.sds["normal_b"][-1] = np.sqrt(np.einsum("k,kii->i", mix_b.weights, mix_b.covariances))
        result.to_b.append(nearest(mix_blast, mix_b))
        result.to_other.append(nearest(mix_blast, mix_other))
        result.mean_to_mean.append(distance(*moments(blast), *moments(b)))
        normal = join([(0.14, mix_b), (0.86, mix_other)])
        draws, blasts = normal.draw(300_000, rng), mix_blast.draw(20_000, rng)
        for rate, sink in result.oracle.items():
            sink.append(sensitivity(blasts, draws, mix_blast, normal, rate))
    return features, result


def cell_oracle(panel: PanelModel, composition: Composition, n_patients: int, seed: int) -> list[float]:
    """Sensitivity at 1e-5 of an oracle on simulated cells, all signals of the panel."""
    values: list[float] = []
    for i in range(n_patients):
        leukaemia: Leukaemia = draw_leukaemia(np.random.default_rng([seed, i]))
        spec = TubeSpec(310_000, composition, leukaemia, 0.03, person_seed=1000 + i, acquisition=CLEAN)
        tube_seed = seed * 1000 + i
        x, population = inside(simulate_tube(spec, panel, tube_seed))
        # The same person and staining with all populations in plenty, so that the oracle knows the rare ones too.
        plenty = Composition(dict.fromkeys(composition.shares, 1.0), composition.maturation)
        known = replace(spec, nucleated=120_000, composition=plenty, composition_spread=0.0, level=0.1)
        y, labels = inside(simulate_tube(known, panel, tube_seed))
        is_blast = population == Code.LEUKAEMIC
        normal_model = by_population(y, labels, population)
        blast_model = fit(y[labels == Code.LEUKAEMIC], 4, i)
        values.append(sensitivity(x[is_blast], x[~is_blast], blast_model, normal_model, 1e-5))
    return values


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def flag(simulated: float, real: float, limit: float) -> str:
    """Mark a value that misses the measured one by more than ``limit``."""
    return f"**{simulated:.2f}**" if abs(simulated - real) > limit else f"{simulated:.2f}"


def quantile_row(name: str, simulated: list[float], real: tuple[float, ...] | None) -> list[list[str]]:
    """Two rows of quantiles, simulated and measured."""
    rows = [[name, "simulated", *(f"{v:.2f}" for v in np.quantile(simulated, QUANTILES))]]
    if real is not None:
        rows.append(["", "measured", *(f"{v:.2f}" for v in real)])
    return rows


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args(arguments)
    write = sys.stdout.write
    vienna, ino = load_panel(PANELS / "vienna_b8.yaml"), load_panel(PANELS / "ino10.yaml")
    features, result = run_panel(vienna, options.patients, options.seed, separation=True)
    ino_features, ino_result = run_panel(ino, options.patients, options.seed, separation=False)
    for title, what, real, limit in (
        ("Population means (decades)", "means", measured.MEAN, 0.15),
        ("Spread within a population (decades)", "sds", measured.WITHIN_SD, 0.1),
    ):
        write(f"\n### {title}: simulated / measured\n\n")
        rows = []
        for group in GROUPS:
            ours = np.mean(getattr(result, what)[group], axis=0)
            cd58 = np.mean(getattr(ino_result, what)[group], axis=0)[ino_features.index("CD58")]
            values = [*ours, cd58]
            rows.append([group, *(f"{flag(v, r, limit)} / {r:.2f}" for v, r in zip(values, real[group], strict=True))])
        write(table(["population", *features, "CD58"], rows) + "\n")
    write("\n### Spread between patients (decades): simulated / measured\n\n")
    rows = []
    for group in GROUPS:
        values = [
            *np.std(result.means[group], axis=0),
            np.std(ino_result.means[group], axis=0)[ino_features.index("CD58")],
        ]
        spread = BETWEEN_SD[group]
        rows.append([group, *(f"{flag(v, r, 0.15)} / {r:.2f}" for v, r in zip(values, spread, strict=True))])
    write(table(["population", *features, "CD58"], rows) + "\n")
    write("\n### Blasts minus normal B cells of the same tube (decades)\n\n")
    rows = []
    shifts = np.array(result.shifts)
    for signal in measured.MEASURED:
        source = (
            shifts[:, features.index(signal)]
            if signal in features
            else np.array(ino_result.shifts)[:, ino_features.index(signal)]
        )
        rows += quantile_row(signal, list(source), measured.SHIFT_QUANTILES[signal])
    write(table(["signal", "", *(f"{q:g}" for q in QUANTILES)], rows) + "\n")
    write("\n### Separation\n\n")
    s = SEPARATION_QUANTILES
    rows = quantile_row(
        "blast to nearest normal B component", result.to_b, s["mahalanobis_blast_to_nearest_normal_b_component"]
    )
    rows += quantile_row(
        "blast to nearest other component", result.to_other, s["mahalanobis_blast_to_nearest_other_component"]
    )
    rows += quantile_row(
        "blast mean to normal B mean", result.mean_to_mean, s["mahalanobis_blast_mean_to_normal_b_mean"]
    )
    for rate, key in ((1e-3, "1e_3"), (1e-4, "1e_4"), (1e-5, "1e_5")):
        rows += quantile_row(
            f"oracle sensitivity at {rate:g}", result.oracle[rate], s[f"oracle_sensitivity_at_fpr_{key}"]
        )
    write(table(["figure", "", *(f"{q:g}" for q in QUANTILES)], rows) + "\n")
    write("\n### Oracle on simulated cells at a false positive rate of 1e-5\n\n")
    rows = []
    backgrounds = {"adult": ADULT, "after anti-B": AFTER_ANTI_B, "regenerating": REGENERATING}
    for panel in (vienna, ino):
        for label, composition in backgrounds.items():
            full = cell_oracle(panel, composition, max(10, options.patients // 2), options.seed)
            rows += quantile_row(f"{panel.name}, {label}", full, None)
    write(table(["panel, background", "", *(f"{q:g}" for q in QUANTILES)], rows) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
