"""Subjects of the phantom: every number of a body, drawn from one seed, and what may happen to it."""

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from trainer.phantom.body import priors


@dataclass(frozen=True, slots=True)
class Femur:
    """Shape and mineral of one proximal femur. Frame: origin head center, x lateral, y anterior, z up; mm, g/cm3 HA."""

    head_radius_mm: float
    neck_shaft_deg: float
    neck_length_mm: float  # head center to shaft axis
    neck_half_mm: float  # superior-inferior half width
    neck_ap_ratio: float
    neck_offset_mm: float  # of the neck's middle line above the line from the head center to the shaft
    head_flat: float  # share of the radius that the dome lacks
    head_ap_ratio: float
    cam_mm: float  # bump of the upper front of the head-neck junction
    osteophyte_mm: float  # collar around the head's margin
    shaft_half_mm: float
    shaft_ap_ratio: float
    shaft_flare: float  # of the metaphysis against the mean
    greater_scale: float
    greater_width: float
    greater_rise_mm: float
    greater_overhang_mm: float  # of its tip toward the neck
    greater_tilt_deg: float
    fossa_mm: float  # radius of the trochanteric fossa
    lesser_scale: float
    lesser_reach: float  # of its middle from the shaft's axis, in half widths of the shaft
    lesser_turn_deg: float  # around the shaft, from medial to posterior
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
    cortex_uneven: float  # relative SD of the slow change of cortical thickness
    density_uneven: float
    noise_seed: int
    growth_plates: float = 0.0  # how wide open: 1 is a small child's, 0 closed
    ridge_rise_mm: float = 0.0  # of the greater trochanter's posterior tip against the rest of it

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
    cover_mm: float  # of the socket over the head, against the mean
    fossa_depth: float
    ischium_width: float
    ramus_width: float
    obturator_drop: float  # height of the obturator ring against the mean
    rim_osteophyte_mm: float
    surface_noise_mm: float
    density_uneven: float
    noise_seed: int
    open_growth_plates: bool = False
    mineral: float = 1.0  # the share of cortices and trabecular density that a loss has left
    wall_mm: float = 4.5  # from the socket to the middle of the quadrilateral plate
    cup_mm: float = 6.5  # of bone around the socket
    deep_mm: float = 0.0  # how far medial in the pelvis the socket lies, against the mean
    lean_deg: float = 0.0  # of its top forward, about the axis of both hips, in every pose
    rim_turn: float = 0.30  # of the socket's rim toward the front, as the sine of its anteversion
    bent_mm: float = 0.0  # SD of where columns, rami and spines lie, against the mean


@dataclass(frozen=True, slots=True)
class Fracture:
    """A cut and what happened to the distal part; local femur frame of the hip, mm and degrees.

    A malunion has grown together: both parts end at one plane, with no gap and no overlap.
    """

    kind: str  # one of FRACTURES
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


SIDES = ("R", "L")
IMPLANTS = ("total_hip", "hemiarthroplasty", "nail", "plate", "screws")
ADOLESCENT_YEARS = 13.0  # from then on as large as an adult
FRACTURES = ("neck", "intertrochanteric", "shaft", "malunion")


@dataclass(frozen=True, slots=True)
class Subject:
    """A person: facts, the latent bone quality, two different femora, a pelvis, and what happened to them."""

    seed: int
    age_years: float
    sex: str
    bmi: float
    latent_b: float | None  # None: of the wide population, whose parts share no quality
    femora: dict[str, Femur]
    pelvis: Pelvis
    fractures: dict[str, Fracture] = field(default_factory=dict)
    implants: dict[str, Implant] = field(default_factory=dict)

    @classmethod
    def draw(cls, seed: int, population: str = "screening") -> "Subject":
        """An adult; a pure function of the seed. population is one of priors.POPULATIONS.

        "screening": 40 to 90 years, bones as in people. "wide": for learning, everything drawn nearly independently.
        """
        if population not in priors.POPULATIONS:
            raise ValueError(f"unknown population {population!r}: one of {', '.join(priors.POPULATIONS)}")
        return _draw_wide(seed) if population == "wide" else _draw_screening(seed)

    @classmethod
    def draw_immature(cls, seed: int, population: str = "screening") -> "Subject":
        """A child of about 1 to 13 years: small, with open growth plates. For refusal cases only.

        Three in four of the wide population are adolescents instead, to 17 years: as large as adults, the plates of the
        femora as thin as a line.
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x696E66]))
        adult = cls.draw(seed)
        size = float(rng.uniform(0.35, 0.75))
        if population == "wide" and rng.random() < 0.75:
            size, plates = float(rng.uniform(0.85, 1.02)), rng.uniform(0.05, 0.4)
            femora = {side: _child_femur(femur, size, plates) for side, femur in adult.femora.items()}
            return replace(adult, age_years=ADOLESCENT_YEARS + 24.0 * (size - 0.85), bmi=21.0, femora=femora)
        femora = {side: _child_femur(femur, size) for side, femur in adult.femora.items()}
        pelvis = replace(
            adult.pelvis, scale=adult.pelvis.scale * size,
            half_hip_distance_mm=adult.pelvis.half_hip_distance_mm * size,
            socket_radius_mm=adult.pelvis.socket_radius_mm * size, plate_mm=adult.pelvis.plate_mm * size**0.5,
            deep_mm=adult.pelvis.deep_mm * size, open_growth_plates=True,
        )  # fmt: skip
        return replace(adult, age_years=1.0 + 30.0 * (size - 0.35), bmi=16.5, femora=femora, pelvis=pelvis)

    def with_loss(self, share: float) -> "Subject":
        """The subject with a share (0 to 1) of all mineral lost: thinner cortices and less dense trabecular bone.

        Sizes and places of bones stay, so areal BMD falls by about that share.
        """
        if not share:
            return self
        femora = {side: _less_mineral(femur, 1.0 - share) for side, femur in self.femora.items()}
        return replace(self, femora=femora, pelvis=replace(self.pelvis, mineral=1.0 - share))

    def with_implant(self, side: str, kind: str, rng: np.random.Generator) -> "Subject":
        """The subject with metal in one hip; kind is one of IMPLANTS."""
        if kind not in IMPLANTS:
            raise ValueError(f"unknown implant {kind!r}: one of {', '.join(IMPLANTS)}")
        jitter = rng.uniform(-1, 1, 3)
        implant = Implant(kind, rng.uniform(0, 1), rng.uniform(0, 1), (jitter[0], jitter[1], jitter[2]))
        return replace(self, implants={**self.implants, side: implant})

    def with_fracture(self, side: str, kind: str, rng: np.random.Generator) -> "Subject":
        """The subject with a displaced fracture of one hip; kind is one of FRACTURES.

        Of the wide population, shafts break far below the hip too.
        """
        femur = self.femora[side]
        low = kind == "shaft" and self.latent_b is None
        fracture = _draw_low_fracture(femur, rng) if low else _draw_fracture(femur, kind, rng)
        return replace(self, fractures={**self.fractures, side: fracture})


def _draw_screening(seed: int) -> Subject:
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x616E61]))
    sex = "F" if rng.random() < 0.72 else "M"
    age, bmi = priors.between(rng, 66.0, 11.5, 40.0, 90.0), priors.between(rng, 26.5, 4.2, 16.0, 45.0)
    man = sex == "M"
    slope = -0.030 if man else -0.055
    b = rng.normal() + 0.25 * (bmi - 25.5) / 4 + slope * (age - 62.0) + (0.45 if man else 0.0)
    f_c, f_t = priors.factors(rng, b)
    radius = priors.HEAD_RADIUS_MM * (1.11 if man else 1.0) * rng.normal(1.0, 0.041)
    shape = priors.femur_shape(rng, radius, age, 1.0)
    mineral = priors.femur_mineral(rng, age, man, f_c, f_t)
    femora = {
        side: _femur(rng, priors.other_shape(rng, shape, 1.0), priors.other_mineral(rng, mineral)) for side in SIDES
    }
    worn = max(age - 55.0, 0.0) / 35.0
    pelvis = _pelvis(rng, priors.pelvis_numbers(rng, man, f_c, f_t, radius, worn, 1.0))
    return Subject(seed, age, sex, bmi, b, femora, pelvis)


def _draw_wide(seed: int) -> Subject:
    """Independent mineral in both femora and in the pelvis: two bones under one film."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x776964]))
    sex = "F" if rng.random() < 0.5 else "M"
    age, bmi = rng.uniform(30.0, 95.0), priors.between(rng, 27.0, 6.0, 15.0, 48.0)
    radius = rng.uniform(17.5, 28.0)
    shape = priors.femur_shape(rng, radius, 75.0, 2.0)
    femora = {
        side: _femur(rng, priors.other_shape(rng, shape, 2.0), priors.wide_mineral(rng, radius)) for side in SIDES
    }
    f_c, f_t = priors.wide_factors(rng)
    pelvis = _pelvis(rng, priors.pelvis_numbers(rng, rng.random() < 0.5, f_c, f_t, radius, 0.5, 1.8))
    return Subject(seed, age, sex, bmi, None, femora, pelvis)


def _femur(rng: np.random.Generator, shape: priors.Numbers, mineral: priors.Numbers) -> Femur:
    numbers: dict[str, Any] = {**shape, **mineral}
    return Femur(**numbers, noise_seed=int(rng.integers(2**31)))


def _pelvis(rng: np.random.Generator, numbers: dict[str, Any]) -> Pelvis:
    return Pelvis(**numbers, noise_seed=int(rng.integers(2**31)))


_SOLID = "cortical_gcm3"  # what is left of a cortex is as dense as before


def _less_mineral(femur: Femur, left: float) -> Femur:
    """The femur with so much of its cortical thickness and of its trabecular density left."""
    mineral = [one.name for one in fields(femur) if one.name.endswith(("cortex_mm", "calcar_mm", "gcm3"))]
    return replace(femur, **{name: left * getattr(femur, name) for name in mineral if name != _SOLID})


def _child_femur(f: Femur, size: float, plates: float = 1.0) -> Femur:
    """A femur scaled down, thin at the ends, straight-necked (coxa valga of the young) and with open growth plates."""
    lengths = ("head_radius_mm", "neck_length_mm", "neck_half_mm", "shaft_half_mm", "lesser_drop_mm", "fossa_mm")
    cortices = (
        "head_cortex_mm", "superior_cortex_mm", "inferior_cortex_mm", "calcar_mm", "metaphysis_cortex_mm",
        "shaft_cortex_mm", "greater_cortex_mm",
    )  # fmt: skip
    values: dict[str, Any] = {name: getattr(f, name) * size for name in lengths}
    values |= {name: getattr(f, name) * size**0.8 for name in cortices}
    young = values["head_radius_mm"] * (1.0 - 0.25 * max(0.75 - size, 0.0) / 0.4)
    return replace(
        f, **{**values, "head_radius_mm": young}, neck_shaft_deg=f.neck_shaft_deg + 12.0 * (0.9 - size),
        lesser_scale=f.lesser_scale * 0.7, surface_noise_mm=0.2, cam_mm=0.0, osteophyte_mm=0.0,
        growth_plates=plates,
    )  # fmt: skip


def _draw_fracture(f: Femur, kind: str, rng: np.random.Generator) -> Fracture:
    """Neck: a cut across the neck; intertrochanteric: from the greater to the lesser trochanter. 3-15 mm, 5-30 deg.

    Shaft: 6 to 26 mm below the lesser trochanter, 4-20 mm; malunion: there too, bent by 8-28 deg and not shifted.
    """
    if kind not in FRACTURES:
        raise ValueError(f"unknown fracture {kind!r}: one of {', '.join(FRACTURES)}")
    if kind in ("shaft", "malunion"):
        return _draw_shaft_fracture(f, kind, rng)
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


def _draw_shaft_fracture(f: Femur, kind: str, rng: np.random.Generator) -> Fracture:
    point = f.shaft_axis_mm(-f.lesser_drop_mm - rng.uniform(6.0, 26.0))
    bend = rng.choice([-1.0, 1.0], p=(0.3, 0.7)) * rng.uniform(8.0, 28.0)  # more often varus
    turn = (rng.normal(0.0, 6.0), float(bend), rng.normal(0.0, 10.0))
    if kind == "malunion":
        tilt = math.radians(0.5 * bend)
        return Fracture(kind, point, (-math.sin(tilt), 0.0, -math.cos(tilt)), (0.0, 0.0, 0.0), turn)
    normal = np.array([rng.normal(0.0, 0.45), rng.normal(0.0, 0.25), -1.0])
    normal /= np.linalg.norm(normal)
    shift = np.array([rng.normal(0.0, 0.6), rng.normal(0.0, 0.4), rng.uniform(-0.3, 1.0)])
    shift *= rng.uniform(4.0, 20.0) / np.linalg.norm(shift)
    return Fracture(kind, point, _triple(normal), _triple(shift), turn)


def _draw_low_fracture(f: Femur, rng: np.random.Generator) -> Fracture:
    """A shaft that broke right across, 6 to 110 mm below the lesser trochanter, its lower part pulled up beside the
    upper one: so far at least that its end stands within 60 mm of the trochanter, where a look at the hip sees it.
    """
    below = rng.uniform(6.0, 110.0)
    pulled = max(below - 60.0, 0.0) + rng.uniform(0.0, 15.0)
    apart, toward = f.shaft_half_mm * rng.uniform(0.4, 2.6), rng.uniform(0.0, 2.0 * math.pi)
    shift = np.array([apart * math.cos(toward), 0.7 * apart * math.sin(toward), pulled])
    normal = np.array([rng.normal(0.0, 0.3), rng.normal(0.0, 0.2), -1.0])
    normal /= np.linalg.norm(normal)
    turn = (rng.normal(0.0, 6.0), rng.normal(0.0, 10.0), rng.normal(0.0, 10.0))
    return Fracture("shaft", f.shaft_axis_mm(-f.lesser_drop_mm - below), _triple(normal), _triple(shift), turn)


def _triple(v: np.ndarray) -> tuple[float, float, float]:
    return float(v[0]), float(v[1]), float(v[2])
