"""Make ``beam_table.npz``: tube spectra and mass attenuation on 20 bins of 5 keV (needs the extra `spectra`).

    python -m trainer.phantom.beam.make_beam_table

Spectra: spekpy, tungsten anode 12 degrees, 3.2 mm Al, none to 0.3 mm of added copper, 1 m of air. Attenuation: xraydb
(Elam tables), total, without coherent scatter (which stays in the beam), of the ICRU-44 tissue compositions. The
detector is 600 um of CsI, energy integrating. Each spectrum is the energy absorbed per bin, normalized to sum 1 without
a patient.
"""

from pathlib import Path

import numpy as np

EDGES_KEV = np.arange(15.0, 116.0, 5.0)
KVP = np.arange(56.0, 113.0, 2.0)
COPPER_MM = np.array([0.0, 0.1, 0.2, 0.3])
CSI_G_PER_CM2 = 0.060 * 4.51 * 0.80
MASS_FRACTIONS = {
    "hydroxyapatite": {"Ca": 0.3989, "P": 0.1850, "O": 0.4141, "H": 0.0020},
    "muscle": {
        "H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001, "P": 0.002, "S": 0.003, "Cl": 0.001, "K": 0.004,
    },
    "fat": {"H": 0.114, "C": 0.598, "N": 0.007, "O": 0.278, "Na": 0.001, "S": 0.001, "Cl": 0.001},
    "marrow": {
        "H": 0.105, "C": 0.414, "N": 0.034, "O": 0.439, "P": 0.001, "S": 0.002, "Cl": 0.002, "K": 0.002, "Fe": 0.001,
    },
    "metal": {"Ti": 0.90, "Al": 0.06, "V": 0.04},
    "csi": {"Cs": 0.5115, "I": 0.4885},
}  # fmt: skip


def attenuation_cm2_per_g(fractions: dict[str, float], energy_ev: np.ndarray) -> np.ndarray:
    """Mass attenuation (cm2/g) of a mixture at the energies (eV): the mixture rule over xraydb's elements."""
    import xraydb

    total = sum(fractions.values())
    kinds = ("photo", "incoh")
    mixed: np.ndarray = sum(
        w / total * xraydb.mu_elam(element, energy_ev, kind=k) for element, w in fractions.items() for k in kinds
    )
    return mixed


def absorbed_spectrum(
    kvp: float, copper_mm: float, csi_cm2_per_g: np.ndarray, centers_kev: np.ndarray
) -> tuple[np.ndarray, float]:
    """Energy absorbed in the detector per bin (sum 1), and photons per mm2 and uGy of air kerma."""
    import spekpy

    tube = spekpy.Spek(kvp=kvp, th=12, dk=0.5)
    tube.filter("Al", 3.2).filter("Cu", float(copper_mm)).filter("Air", 1000.0)
    energy_kev, fluence = tube.get_spectrum(edges=False)
    counts = np.histogram(energy_kev, EDGES_KEV, weights=fluence)[0]
    absorbed = counts * (1.0 - np.exp(-csi_cm2_per_g * CSI_G_PER_CM2))
    weight = absorbed * centers_kev
    photons_per_mm2_per_ugy = tube.get_flu() / 100.0 / tube.get_kerma()
    return weight / weight.sum(), float(photons_per_mm2_per_ugy)


def main() -> None:
    """Write the table beside this file."""
    centers = 0.5 * (EDGES_KEV[1:] + EDGES_KEV[:-1])
    mu = {name: attenuation_cm2_per_g(f, centers * 1000.0) for name, f in MASS_FRACTIONS.items()}
    rows = [[absorbed_spectrum(k, copper, mu["csi"], centers) for copper in COPPER_MM] for k in KVP]
    materials = ("hydroxyapatite", "muscle", "fat", "marrow", "metal")
    np.savez_compressed(
        Path(__file__).with_name("beam_table.npz"),
        kvp=KVP.astype(np.float32),
        energy_kev=centers.astype(np.float32),
        copper_mm=COPPER_MM.astype(np.float32),
        spectrum=np.array([[cell[0] for cell in row] for row in rows], np.float32),
        photons_per_mm2_per_ugy=np.array([[cell[1] for cell in row] for row in rows], np.float32),
        materials=np.array(materials),
        attenuation_cm2_per_g=np.array([mu[m] for m in materials], np.float32),
    )


if __name__ == "__main__":
    main()
