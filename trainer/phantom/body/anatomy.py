"""Subjects of the phantom: every number of a body, drawn from one seed.

Bones are tied to bone density only statistically: a latent quality b (age, sex, BMI, chance) moves cortical thickness
and trabecular density, and every site has factors of its own. Superior neck cortex thins with age about three times
faster than inferior (Mayhew et al., Lancet 366, 2005; Poole et al., J Bone Miner Res 25, 2010).
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Femur:
    """Shape and mineral of one proximal femur. Frame: origin head center, x lateral, y anterior, z up; mm, g/cm3 HA."""

    head_radius_mm: float
    neck_shaft_deg: float
    neck_length_mm: float  # head center to shaft axis
    neck_half_mm: float  # superior-inferior half width
    neck_ap_ratio: float
    shaft_half_mm: float
    shaft_ap_ratio: float
    greater_scale: float
    lesser_scale: float
    greater_tilt_deg: float
    lesser_drop_mm: float  # head center to lesser trochanter along z
    bow_deg: float
    head_cortex_mm: float
    superior_cortex_mm: float
    inferior_cortex_mm: float
    calcar_mm: float
    metaphysis_cortex_mm: float
    shaft_cortex_mm: float
    greater_cortex_mm: float
    cortical_gcm3: float
    head_gcm3: float
    compressive_gcm3: float
    tensile_gcm3: float
    neck_gcm3: float
    ward_loss: float  # fraction of the density lost in Ward's triangle
    trochanter_gcm3: float
    canal_gcm3: float
    surface_noise_mm: float
    noise_seed: int
    open_growth_plates: bool = False

    @property
    def neck_axis(self) -> tuple[float, float, float]:
        """Unit vector from the head center down the neck."""
        angle = math.radians(self.neck_shaft_deg - 90.0)
        return (math.cos(angle), 0.0, -math.sin(angle))

    @property
    def shaft_offset_mm(self) -> float:
        """Lateral distance of the shaft axis from the head center at the neck base."""
        return self.neck_length_mm * self.neck_axis[0]

    def shaft_axis_mm(self, z_mm: float) -> tuple[float, float, float]:
        """Point of the shaft axis at a height (mm, negative below the head center)."""
        base = self.neck_length_mm * self.neck_axis[2]
        return (self.shaft_offset_mm + math.tan(math.radians(self.bow_deg)) * (base - z_mm), 0.0, z_mm)


@dataclass(frozen=True, slots=True)
class Pelvis:
    """Shape and mineral of the pelvis; lengths are scaled by scale (1 = a woman with a 21.9 mm femoral head)."""

    scale: float
    half_hip_distance_mm: float
    socket_radius_mm: float
    wing_flare: float
    wing_height: float
    wing_depth: float
    plate_mm: float
    cortex_mm: float
    sourcil_mm: float
    trabecular_gcm3: float
    canal_width: float  # width of the pelvic ring against the mean
    pubic_angle: float
    noise_seed: int
    open_growth_plates: bool = False


@dataclass(frozen=True, slots=True)
class Fracture:
    """A cut and what happened to the distal part; local femur frame of the hip, mm and degrees."""

    kind: str  # "neck" or "intertrochanteric"
    point_mm: tuple[float, float, float]
    normal: tuple[float, float, float]  # toward the distal part
    shift_mm: tuple[float, float, float]
    turn_deg: tuple[float, float, float]  # about x, y, z


@dataclass(frozen=True, slots=True)
class Implant:
    """Metal in or on a femur; kind and the free numbers of its shape."""

    kind: str  # total_hip, hemiarthroplasty, nail, plate, screws
    length_mm: float
    radius_mm: float
    jitter: tuple[float, float, float]


IMPLANTS = ("total_hip", "hemiarthroplasty", "nail", "plate", "screws")
FRACTURES = ("neck", "intertrochanteric")


@dataclass(frozen=True, slots=True)
class Subject:
    """A person: facts, the latent bone quality and factors, two different femora, a pelvis, and what happened to
    them."""

    seed: int
    age_years: float
    sex: str
    bmi: float
    latent_b: float
    cortical_factor: float
    trabecular_factor: float
    femora: dict[str, Femur]
    pelvis: Pelvis
    fractures: dict[str, Fracture] = field(default_factory=dict)
    implants: dict[str, Implant] = field(default_factory=dict)

    @classmethod
    def draw(cls, seed: int) -> "Subject":
        """An adult of a screening population, 40 to 90 years; a pure function of the seed."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x616E61]))
        sex = "F" if rng.random() < 0.72 else "M"
        age = _between(rng, 66.0, 11.5, 40.0, 90.0)
        bmi = _between(rng, 26.5, 4.2, 16.0, 45.0)
        man = sex == "M"
        slope = -0.030 if man else -0.055
        b = rng.normal() + 0.25 * (bmi - 25.5) / 4 + slope * (age - 62.0) + (0.45 if man else 0.0)
        f_c = CORTICAL_SCALE * math.exp(0.130 * _mix(rng, b, 0.64))
        f_t = TRABECULAR_SCALE * math.exp(0.245 * _mix(rng, b, 0.60))
        scale = (1.11 if man else 1.0) * rng.normal(1.0, 0.041)
        common = _FemurDraw.draw(rng, age, man, f_c, f_t, 21.9 * scale)
        femora = {side: common.one_side(rng) for side in ("R", "L")}
        pelvis = _draw_pelvis(rng, man, f_c, f_t, 21.9 * scale)
        return cls(seed, age, sex, bmi, b, f_c, f_t, femora, pelvis)

    @classmethod
    def draw_immature(cls, seed: int) -> "Subject":
        """A child of about 1 to 15 years: small, with open growth plates. For refusal cases only."""
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x696E66]))
        adult = cls.draw(seed)
        size = float(rng.uniform(0.35, 0.75))
        femora = {side: _child_femur(femur, size) for side, femur in adult.femora.items()}
        pelvis = replace(
            adult.pelvis, scale=adult.pelvis.scale * size,
            half_hip_distance_mm=adult.pelvis.half_hip_distance_mm * size,
            socket_radius_mm=adult.pelvis.socket_radius_mm * size, plate_mm=adult.pelvis.plate_mm * size**0.5,
            open_growth_plates=True,
        )  # fmt: skip
        return replace(adult, age_years=1.0 + 30.0 * (size - 0.35), bmi=16.5, femora=femora, pelvis=pelvis)

    def with_implant(self, side: str, kind: str, rng: np.random.Generator) -> "Subject":
        """The subject with metal in one hip; kind is one of IMPLANTS."""
        if kind not in IMPLANTS:
            raise ValueError(f"unknown implant {kind!r}: one of {', '.join(IMPLANTS)}")
        jitter = rng.uniform(-1, 1, 3)
        implant = Implant(kind, rng.uniform(0, 1), rng.uniform(0, 1), (jitter[0], jitter[1], jitter[2]))
        return replace(self, implants={**self.implants, side: implant})

    def with_fracture(self, side: str, kind: str, rng: np.random.Generator) -> "Subject":
        """The subject with a displaced fracture of one hip; kind is one of FRACTURES."""
        return replace(self, fractures={**self.fractures, side: _draw_fracture(self.femora[side], kind, rng)})


# Calibrated on population(600): femoral neck .70 +- .14 g/cm2, total hip above it, as
# tests/trainer/phantom/film/test_dxa_label.py says.
CORTICAL_SCALE = 1.05
TRABECULAR_SCALE = 1.05


@dataclass(frozen=True, slots=True)
class _FemurDraw:
    """What both femora of a person share."""

    femur: Femur

    @classmethod
    def draw(
        cls, rng: np.random.Generator, age: float, man: bool, f_c: float, f_t: float, radius: float
    ) -> "_FemurDraw":
        def site(sigma: float) -> float:
            return math.exp(rng.normal(0.0, sigma))

        length = 2.28 * radius + rng.normal(0.0, 2.2)
        neck_half = radius * (rng.normal(0.695, 0.033) + 0.0006 * (age - 65.0))
        superior = max((0.78 if man else 0.72) - (0.011 if man else 0.019) * (age - 65.0), 0.30)
        neck_site, trochanter_site, shaft_site = site(0.175), site(0.16), site(0.10)
        neck_bone, trochanter_bone = site(0.26), site(0.24)
        femur = Femur(
            head_radius_mm=radius, neck_shaft_deg=rng.normal(128.0, 4.6), neck_length_mm=length, neck_half_mm=neck_half,
            neck_ap_ratio=_between(rng, 0.83, 0.05, 0.68, 0.98), shaft_half_mm=radius * rng.normal(0.64, 0.033),
            shaft_ap_ratio=_between(rng, 0.98, 0.05, 0.85, 1.12), greater_scale=_between(rng, 1.0, 0.06, 0.85, 1.15),
            lesser_scale=_between(rng, 1.0, 0.11, 0.7, 1.3), greater_tilt_deg=rng.normal(12.0, 3.0),
            lesser_drop_mm=radius * rng.normal(2.62, 0.07), bow_deg=rng.normal(0.0, 0.8),
            head_cortex_mm=0.70 * f_c * site(0.06), superior_cortex_mm=superior * f_c * neck_site * site(0.12),
            inferior_cortex_mm=1.95 * (1 - 0.003 * (age - 65.0)) * f_c * neck_site, calcar_mm=1.2 * f_c * site(0.15),
            metaphysis_cortex_mm=1.30 * f_c * trochanter_site, shaft_cortex_mm=5.4 * f_c * shaft_site,
            greater_cortex_mm=0.75 * f_c * trochanter_site, cortical_gcm3=1.07 * _between(rng, 1.0, 0.025, 0.92, 1.08),
            head_gcm3=0.20 * f_t * site(0.08), compressive_gcm3=0.088 * f_t * site(0.16),
            tensile_gcm3=0.060 * f_t * site(0.16),
            neck_gcm3=0.094 * f_t * neck_bone, ward_loss=_between(rng, 0.62, 0.10, 0.3, 0.9),
            trochanter_gcm3=0.078 * f_t * trochanter_bone, canal_gcm3=0.010 * f_t, surface_noise_mm=0.38, noise_seed=0,
        )  # fmt: skip
        return cls(femur)

    def one_side(self, rng: np.random.Generator) -> Femur:
        """One femur of the pair: the shared numbers and a little of its own (right against left r about .9)."""
        f = self.femur
        c, t = math.exp(rng.normal(0.0, 0.040)), math.exp(rng.normal(0.0, 0.055))
        neck, trochanter = math.exp(rng.normal(0.0, 0.035)), math.exp(rng.normal(0.0, 0.035))
        return replace(
            f, neck_shaft_deg=f.neck_shaft_deg + rng.normal(0, 1.6), neck_length_mm=f.neck_length_mm + rng.normal(0,
            1.0),
            neck_half_mm=f.neck_half_mm * rng.normal(1, 0.012), neck_ap_ratio=f.neck_ap_ratio * rng.normal(1, 0.015),
            greater_scale=f.greater_scale * rng.normal(1, 0.03), lesser_scale=f.lesser_scale * rng.normal(1, 0.04),
            greater_tilt_deg=f.greater_tilt_deg + rng.normal(0, 1.5), lesser_drop_mm=f.lesser_drop_mm + rng.normal(0,
            0.8),
            head_cortex_mm=f.head_cortex_mm * c, superior_cortex_mm=f.superior_cortex_mm * c * neck,
            inferior_cortex_mm=f.inferior_cortex_mm * c * neck, calcar_mm=f.calcar_mm * c,
            metaphysis_cortex_mm=f.metaphysis_cortex_mm * c * trochanter, shaft_cortex_mm=f.shaft_cortex_mm * c,
            greater_cortex_mm=f.greater_cortex_mm * c * trochanter, head_gcm3=f.head_gcm3 * t,
            compressive_gcm3=f.compressive_gcm3 * t, tensile_gcm3=f.tensile_gcm3 * t, neck_gcm3=f.neck_gcm3 * t * neck,
            trochanter_gcm3=f.trochanter_gcm3 * t * trochanter, noise_seed=int(rng.integers(2**31)),
        )  # fmt: skip


def _mix(rng: np.random.Generator, b: float, r: float) -> float:
    return r * b + math.sqrt(1 - r * r) * rng.normal()


def _between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal draw kept inside a range by drawing again."""
    while True:
        value = rng.normal(mean, sd)
        if low <= value <= high:
            return float(value)


def _draw_pelvis(rng: np.random.Generator, man: bool, f_c: float, f_t: float, radius: float) -> Pelvis:
    scale = radius / 21.9 * (0.97 if man else 1.0)
    return Pelvis(
        scale=scale, half_hip_distance_mm=scale * rng.normal(86.0 if man else 88.0, 3.0),
        socket_radius_mm=radius + _between(rng, 3.6, 0.5, 2.4, 5.0),
        wing_flare=rng.normal(0.92 if man else 1.0, 0.06), wing_height=rng.normal(1.04 if man else 1.0, 0.04),
        wing_depth=rng.normal(1.0, 0.04), plate_mm=_between(rng, 6.9, 0.6, 5.4, 8.5) * scale,
        cortex_mm=0.85 * f_c * math.exp(rng.normal(0, 0.08)),
        sourcil_mm=_between(rng, 2.4, 0.6, 1.0, 4.2), trabecular_gcm3=0.105 * f_t * math.exp(rng.normal(0, 0.12)),
        canal_width=rng.normal(0.93 if man else 1.0, 0.04), pubic_angle=rng.normal(0.85 if man else 1.0, 0.07),
        noise_seed=int(rng.integers(2**31)),
    )  # fmt: skip


def _child_femur(f: Femur, size: float) -> Femur:
    """A femur scaled down, thin at the ends, straight-necked (coxa valga of the young) and with open growth plates."""
    lengths = ("head_radius_mm", "neck_length_mm", "neck_half_mm", "shaft_half_mm", "lesser_drop_mm")
    cortices = (
        "head_cortex_mm",
        "superior_cortex_mm",
        "inferior_cortex_mm",
        "calcar_mm",
        "metaphysis_cortex_mm",
        "shaft_cortex_mm",
        "greater_cortex_mm",
    )
    values: dict[str, Any] = {name: getattr(f, name) * size for name in lengths}
    values |= {name: getattr(f, name) * size**0.8 for name in cortices}
    young = values["head_radius_mm"] * (1.0 - 0.25 * (0.75 - size) / 0.4)
    return replace(
        f, **{**values, "head_radius_mm": young}, neck_shaft_deg=f.neck_shaft_deg + 12.0 * (0.9 - size),
        lesser_scale=f.lesser_scale * 0.7, surface_noise_mm=0.2, open_growth_plates=True,
    )  # fmt: skip


def _draw_fracture(f: Femur, kind: str, rng: np.random.Generator) -> Fracture:
    """Neck: a cut across the neck; intertrochanteric: from the greater to the lesser trochanter. 3-15 mm, 5-30 deg."""
    if kind not in FRACTURES:
        raise ValueError(f"unknown fracture {kind!r}: one of {', '.join(FRACTURES)}")
    n = np.array(f.neck_axis)
    up = np.array([-n[2], 0.0, n[0]])
    if kind == "neck":
        point = n * f.neck_length_mm * rng.uniform(0.42, 0.68)
        tilt = math.radians(rng.uniform(-22, 18))
        normal = n * math.cos(tilt) - up * math.sin(tilt)
    else:
        point = np.array(
            [f.shaft_offset_mm - 0.1 * f.shaft_half_mm, 0.0, -0.62 * f.lesser_drop_mm + rng.uniform(-4, 4)]
        )
        tilt = math.radians(rng.uniform(38, 56))
        normal = np.array([math.sin(tilt), 0.0, -math.cos(tilt)])
    normal = normal + np.array([0.0, rng.normal(0, 0.18), 0.0])
    normal /= np.linalg.norm(normal)
    size = rng.uniform(3, 15) if kind == "neck" else rng.uniform(4, 13)
    shift = (
        -normal * rng.uniform(0.0, 4.0) + np.array([0.25, rng.normal(0, 0.3), 0.9]) * size
    )  # the muscles pull the shaft up
    turn = (rng.normal(0, 4), rng.uniform(1, 15), -rng.uniform(8, 30))  # varus and external rotation
    return Fracture(kind, _triple(point), _triple(normal), _triple(shift), _triple(np.array(turn)))


def _triple(v: np.ndarray) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])
