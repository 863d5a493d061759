"""The distributions behind the numbers of a subject: a screening population, and a wide one that networks learn from.

Screening: a latent quality b (age, sex, BMI, chance) moves cortical thickness and trabecular density, and every site
has factors of its own. Superior neck cortex thins with age about three times faster than inferior (Mayhew et al.,
Lancet 366, 2005; Poole et al., J Bone Miner Res 25, 2010). Femoral heads 36 to 56 mm: Unnanuntana et al., J Orthop Surg
Res 5, 2010.

Wide: what is coupled in people is drawn apart, so that nothing but the mineral itself tells the mineral. An overall
level (so that BMD is about uniform) and its split between cortex and trabeculae are independent, every site has wide
factors of its own, and age, sex, BMI, bone size, pelvis and the other femur say nothing about either.
"""

import math

import numpy as np

POPULATIONS = ("screening", "wide")
EDITIONS = {"screening": 5, "wide": 7}
"""Counts the changes of each population, so that no cohort of an earlier one is taken for one of this."""
SITES = ("head", "superior", "inferior", "calcar", "metaphysis", "shaft", "greater")
HEAD_RADIUS_MM = 21.9

# Calibrated on population(600): femoral neck .70 +- .14 g/cm2, total hip above it, as
# tests/trainer/phantom/film/test_dxa_label.py says.
CORTICAL_SCALE = 1.05
TRABECULAR_SCALE = 1.05

# Wide population: the level (1 is about .67 g/cm2 at the neck), and the cortical share of a level's mineral.
LEVEL = (0.46, 1.95)
SHARE, SHARE_SPREAD = 0.5, 0.55
REST_FOLLOWS, REST_SPREAD = 0.25, 0.42  # how trochanter and shaft follow the level of head and neck
DENSEST_GCM3 = 0.5
CORTEX_SITE_SD, DENSITY_SITE_SD = 0.27, 0.38
CORTEX_SOLID = (0.75, 1.05)
"""Share of a cortex that is dense bone, the rest pores. A thinner share makes a thicker cortex, by its square root."""

Numbers = dict[str, float]


def between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal draw kept inside a range by drawing again."""
    while True:
        value = rng.normal(mean, sd)
        if low <= value <= high:
            return float(value)


def factors(rng: np.random.Generator, b: float) -> tuple[float, float]:
    """Cortical and trabecular factor of a person of the screening population with latent quality b."""
    cortical = CORTICAL_SCALE * math.exp(0.130 * _mix(rng, b, 0.64))
    return cortical, TRABECULAR_SCALE * math.exp(0.245 * _mix(rng, b, 0.60))


def wide_factors(rng: np.random.Generator) -> tuple[float, float]:
    """Cortical and trabecular factor of one bone of the wide population: a level, and its split."""
    level = rng.uniform(*LEVEL)
    share = 1.0 / (1.0 + math.exp(-between(rng, math.log(SHARE / (1.0 - SHARE)), SHARE_SPREAD, -1.3, 1.3)))
    return float(level * share / SHARE), float(level * (1.0 - share) / (1.0 - SHARE))


def femur_shape(rng: np.random.Generator, radius: float, age: float, spread: float) -> Numbers:
    """Lengths (mm), angles (degrees) and ratios of both femora of a person; spread 1 is a screening population."""
    worn = max(age - 55.0, 0.0) / 35.0  # arthritis comes with age
    cam = rng.random() < 0.15 * spread
    return {
        "head_radius_mm": radius, **(_screened_neck(rng, radius) if spread == 1.0 else _wide_neck(rng, radius)),
        "neck_half_mm": radius * (between(rng, 0.695, 0.033 * spread, 0.54, 0.85) + 0.0006 * (age - 65.0)),
        "neck_ap_ratio": between(rng, 0.83, 0.05 * spread, 0.64, 1.0),
        "neck_offset_mm": between(rng, 0.0, 0.6 * spread, -2.5, 2.5),
        "head_flat": abs(rng.normal(0.0, 0.015 * spread)), "head_ap_ratio": between(rng, 0.99, 0.015, 0.94, 1.03),
        "cam_mm": rng.uniform(1.0, 4.0) if cam else 0.0,
        "osteophyte_mm": rng.uniform(0.5, 3.5) if rng.random() < 0.35 * worn * spread else 0.0,
        "shaft_half_mm": radius * between(rng, 0.64, 0.033 * spread, 0.50, 0.80),
        "shaft_ap_ratio": between(rng, 0.98, 0.05, 0.85, 1.12),
        "shaft_flare": between(rng, 1.0, 0.15 * spread, 0.4, 1.8),
        "greater_scale": between(rng, 1.0, 0.05 * spread, 0.8, 1.2),
        "greater_width": between(rng, 1.0, 0.06 * spread, 0.75, 1.3),
        "greater_rise_mm": between(rng, 0.0, 1.5 * spread, -6.0, 6.0) if spread == 1.0 else rng.uniform(-8.0, 8.0),
        "greater_overhang_mm": between(rng, 0.0, 1.2, -4.0, 4.0) if spread == 1.0 else rng.uniform(-4.0, 8.0),
        "greater_tilt_deg": rng.normal(12.0, 3.0 * spread),
        **({} if spread == 1.0 else {"ridge_rise_mm": radius / HEAD_RADIUS_MM * rng.uniform(-2.0, 7.0)}),
        "fossa_mm": radius / HEAD_RADIUS_MM * rng.uniform(3.5, 7.5),
        **(_screened_lesser(rng, radius) if spread == 1.0 else _wide_lesser(rng, radius)),
        "bow_deg": rng.normal(0.0, 0.8 * spread),
        "surface_noise_mm": between(rng, 0.40, 0.08 * spread, 0.2, 0.8),
        "cortex_uneven": rng.uniform(0.08, 0.10 + 0.06 * spread),
        "density_uneven": rng.uniform(0.10, 0.10 + 0.08 * spread),
    }  # fmt: skip


def _screened_neck(rng: np.random.Generator, radius: float) -> Numbers:
    return {
        "neck_shaft_deg": rng.normal(127.5, 4.6),
        "neck_length_mm": 2.28 * radius + between(rng, 0.0, 2.2, -9.0, 9.0),
    }


def _wide_neck(rng: np.random.Generator, radius: float) -> Numbers:
    """From short and vara, the trochanter's tip above the head's center, to long and valga."""
    return {
        "neck_shaft_deg": between(rng, 127.5, 9.0, 106.0, 149.0),
        "neck_length_mm": radius * between(rng, 2.26, 0.24, 1.65, 2.8),
    }


def _screened_lesser(rng: np.random.Generator, radius: float) -> Numbers:
    return {
        "lesser_scale": between(rng, 1.0, 0.11, 0.6, 1.4), "lesser_reach": 1.037,
        "lesser_turn_deg": between(rng, 50.0, 5.0, 25.0, 75.0),
        "lesser_drop_mm": radius * between(rng, 2.62, 0.07, 2.3, 2.95),
    }  # fmt: skip


def _wide_lesser(rng: np.random.Generator, radius: float) -> Numbers:
    """From low, flat and posterior to that of the Visible Human woman: 2.0 radii below the head's center, its tip 1.3
    to 1.5 radii medial of the shaft's axis, as she is turned."""
    return {
        "lesser_scale": between(rng, 1.05, 0.22, 0.6, 1.5), "lesser_reach": rng.uniform(0.95, 1.75),
        "lesser_turn_deg": rng.uniform(20.0, 70.0), "lesser_drop_mm": radius * rng.uniform(1.95, 2.95),
    }  # fmt: skip


def other_shape(rng: np.random.Generator, f: Numbers, spread: float) -> Numbers:
    """One femur of a pair: the shared shape and a little of its own."""
    sd = {
        "neck_shaft_deg": 1.6, "neck_length_mm": 1.0, "neck_half_mm": 0.012 * f["neck_half_mm"],
        "neck_ap_ratio": 0.012, "greater_scale": 0.03, "lesser_scale": 0.04, "greater_tilt_deg": 1.5,
        "greater_rise_mm": 0.8, "greater_overhang_mm": 0.6, "lesser_turn_deg": 3.0, "lesser_drop_mm": 0.8,
        "neck_offset_mm": 0.3, "shaft_flare": 0.05,
    }  # fmt: skip
    own = {name: f[name] + rng.normal(0.0, s * (1.0 if spread == 1.0 else 1.5)) for name, s in sd.items()}
    for name in ("osteophyte_mm", "cam_mm"):
        own[name] = f[name] * rng.uniform(0.0, 1.5)
    return {**f, **own}


def femur_mineral(rng: np.random.Generator, age: float, man: bool, f_c: float, f_t: float) -> Numbers:
    """Cortical thickness (mm) and densities (g/cm3) that both femora of a screened person share."""
    superior = max((0.78 if man else 0.72) - (0.011 if man else 0.019) * (age - 65.0), 0.30)
    neck_site, trochanter_site, shaft_site = _site(rng, 0.175), _site(rng, 0.16), _site(rng, 0.10)
    sites = {
        "head": _site(rng, 0.06), "superior": superior / 0.72 * neck_site * _site(rng, 0.12),
        "inferior": (1 - 0.003 * (age - 65.0)) * neck_site, "calcar": _site(rng, 0.15), "metaphysis": trochanter_site,
        "shaft": shaft_site, "greater": trochanter_site,
    }  # fmt: skip
    density = {"head": _site(rng, 0.08), "compressive": _site(rng, 0.16), "tensile": _site(rng, 0.16)}
    density |= {"neck": _site(rng, 0.26), "trochanter": _site(rng, 0.24), "canal": 1.0}
    return {
        **_mineral(sites, density, f_c, f_t),
        "cortical_gcm3": 1.07 * between(rng, 1.0, 0.025, 0.92, 1.08), "ward_loss": between(rng, 0.62, 0.10, 0.3, 0.9),
    }  # fmt: skip


def other_mineral(rng: np.random.Generator, f: Numbers) -> Numbers:
    """The mineral of one femur of a screened person (right against left r about .9)."""
    c, t = _site(rng, 0.040), _site(rng, 0.055)
    neck, trochanter = _site(rng, 0.035), _site(rng, 0.035)
    own = {name: value * (t if name.endswith("gcm3") else c) for name, value in f.items()}
    own |= {name: f[name] for name in ("cortical_gcm3", "ward_loss", "canal_gcm3")}
    for name in ("superior_cortex_mm", "inferior_cortex_mm", "neck_gcm3"):
        own[name] *= neck
    for name in ("metaphysis_cortex_mm", "greater_cortex_mm", "trochanter_gcm3"):
        own[name] *= trochanter
    return own


def wide_mineral(rng: np.random.Generator, radius: float) -> Numbers:
    """The mineral of one femur of the wide population; densities fall with size, so that size tells no BMD."""
    f_c, f_t = wide_factors(rng)
    level = 0.5 * (f_c + f_t)
    rest = level ** (REST_FOLLOWS - 1.0) * _site(rng, REST_SPREAD)
    solid = rng.uniform(*CORTEX_SOLID)
    sites = {site: _site(rng, CORTEX_SITE_SD) / math.sqrt(solid) for site in SITES}
    named = ("head", "compressive", "tensile", "neck", "trochanter", "canal")
    density = {site: _site(rng, DENSITY_SITE_SD) for site in named}
    for site in ("metaphysis", "shaft", "greater"):
        sites[site] *= rest
    density["trochanter"] *= rest
    values = _mineral(sites, density, f_c, f_t * HEAD_RADIUS_MM / radius)
    return {
        **{name: min(value, DENSEST_GCM3) if name.endswith("gcm3") else value for name, value in values.items()},
        "shaft_cortex_mm": min(values["shaft_cortex_mm"], 0.38 * radius),
        "cortical_gcm3": 1.10 * solid, "ward_loss": rng.uniform(0.15, 0.95),
    }  # fmt: skip


def pelvis_numbers(
    rng: np.random.Generator, man: bool, f_c: float, f_t: float, radius: float, worn: float, spread: float
) -> Numbers:
    """Shape and mineral of the pelvis; worn 0..1 is how likely its rims carry osteophytes."""
    scale = radius / HEAD_RADIUS_MM * (0.97 if man else 1.0)
    around = {} if spread == 1.0 else _wide_socket(rng, radius, f_c, f_t)
    return {
        "scale": scale,
        "half_hip_distance_mm": scale * rng.normal(86.0 if man else 88.0, 3.0 * spread) - around.get("deep_mm", 0.0),
        "socket_radius_mm": radius + between(rng, 3.6, 0.5 * spread, 2.2, 5.5),
        "wing_flare": rng.normal(0.92 if man else 1.0, 0.06 * spread),
        "wing_height": rng.normal(1.04 if man else 1.0, 0.04 * spread), "wing_depth": rng.normal(1.0, 0.04 * spread),
        "plate_mm": between(rng, 6.9, 0.6 * spread, 4.5, 9.0) * scale,
        "cortex_mm": 0.85 * f_c * _site(rng, 0.08 * spread), "sourcil_mm": between(rng, 2.4, 0.6 * spread, 0.6, 5.0),
        "trabecular_gcm3": 0.105 * f_t * _site(rng, 0.12 * spread),
        "canal_width": rng.normal(0.93 if man else 1.0, 0.04 * spread),
        "pubic_angle": rng.normal(0.85 if man else 1.0, 0.07 * spread),
        "cover_mm": between(rng, 0.0, 1.5 * spread, -6.0, 6.0),
        "fossa_depth": between(rng, 1.0, 0.06 * spread, 0.8, 1.2),
        "ischium_width": between(rng, 1.0, 0.07 * spread, 0.75, 1.3),
        "ramus_width": between(rng, 1.0, 0.09 * spread, 0.7, 1.4),
        "obturator_drop": between(rng, 1.0, 0.06 * spread, 0.8, 1.2),
        "rim_osteophyte_mm": rng.uniform(1.0, 5.0) if rng.random() < 0.3 * worn * spread else 0.0,
        "surface_noise_mm": between(rng, 0.45, 0.1 * spread, 0.2, 1.0),
        "density_uneven": rng.uniform(0.14, 0.16 + 0.10 * spread), **around,
    }  # fmt: skip


def _wide_socket(rng: np.random.Generator, radius: float, f_c: float, f_t: float) -> Numbers:
    """From deep, thick walls that hide the head's outline to thin ones that have lost more mineral than the femur; a
    joint space from worn away to wide, a roof from faint to dense, a brim whose line runs from far medial to the head.

    One socket in five lies so deep that the head may pass the ilioischial line (protrusio acetabuli).
    """
    deep = rng.uniform(4.0, 16.0) if rng.random() < 0.2 else rng.uniform(-4.0, 4.0)
    return {
        "cortex_mm": 0.85 * f_c * rng.uniform(0.4, 1.1), "trabecular_gcm3": 0.105 * f_t * rng.uniform(0.3, 1.1),
        "sourcil_mm": rng.uniform(0.6, 5.0), "canal_width": rng.uniform(0.68, 1.1),
        "socket_radius_mm": radius + rng.uniform(0.5, 5.0), "wall_mm": rng.uniform(-1.0, 4.5),
        "cup_mm": rng.uniform(2.0, 6.5), "deep_mm": deep * radius / HEAD_RADIUS_MM,
        "lean_deg": rng.uniform(-12.0, 22.0), "rim_turn": rng.uniform(0.05, 0.55),
        "bent_mm": rng.uniform(0.0, 6.0) * radius / HEAD_RADIUS_MM,
    }  # fmt: skip


def _mineral(cortex: Numbers, density: Numbers, f_c: float, f_t: float) -> Numbers:
    """Mean values of a woman of 65 years times the factors of the sites."""
    mm = {"head": 0.70, "superior": 0.72, "inferior": 1.95, "metaphysis": 1.30, "shaft": 5.4, "greater": 0.75}
    gcm3 = {"head": 0.20, "compressive": 0.088, "tensile": 0.060, "neck": 0.094, "trochanter": 0.078, "canal": 0.010}
    return {
        **{f"{site}_cortex_mm": mean * f_c * cortex[site] for site, mean in mm.items()},
        "calcar_mm": 1.2 * f_c * cortex["calcar"],
        **{f"{site}_gcm3": mean * f_t * density[site] for site, mean in gcm3.items()},
    }


def _site(rng: np.random.Generator, sigma: float) -> float:
    return math.exp(between(rng, 0.0, sigma, -2.5 * sigma, 2.5 * sigma))


def _mix(rng: np.random.Generator, b: float, r: float) -> float:
    return r * b + math.sqrt(1 - r * r) * rng.normal()
