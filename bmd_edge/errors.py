"""The error tree, and the one table of refusal codes and flags.

    BmdEdgeError
    |-- FilmRefused       a whole film gets no number
    |-- HipRefused        one hip gets no number; the other hip of the film may
    |-- FilmFailed        the film could not be processed (I/O, decoder crash); worth a retry
    |-- UsageError        wrong use of a command or function        (exit code 2)
    |   |-- TableError    a film table breaks its contract
    |   `-- MissingExtra  an optional dependency is not installed
    `-- EngineError       the engine cannot do what was asked       (exit code 4)
        `-- BundleError   the bundle is missing, stale or invalid

A refusal is a result: it has a stable snake_case code, a sentence and a remedy, and is never a zero or a NaN.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal code means and what the user can do about it."""

    sentence: str
    remedy: str


# A research tool never asks for an exposure: what can be done with films that are there, and what a film that is taken
# for its own reasons could show.
_ARCHIVE = "Use another AP film of the hip if the archive holds one."
_NEXT = "At the next film, if one is taken anyway:"

REFUSALS: dict[str, Refusal] = {
    # The file
    "empty_file": Refusal("The file is empty.", "Export the film again from the archive."),
    "not_dicom": Refusal("The file is not a DICOM file.", "Export the film as DICOM."),
    "packed_file": Refusal(
        "The file is packed (zip, gz, tar and the like), and none is opened.",
        "If it holds films, unpack it into the folder, then run again.",
    ),
    "broken_packed_file": Refusal(
        "The file is packed (zip and the like) and cut off.",
        "If it held films, copy it again, and unpack it into the folder.",
    ),
    "dicom_directory": Refusal(
        "The file is the table of contents of a disc (DICOMDIR), no film.",
        "Nothing need be done: the films that it lists are read where they lie in the folder.",
    ),
    "truncated": Refusal("The file ends before its data does.", "Copy the film again; the transfer was cut."),
    "broken_dicom": Refusal(
        "The DICOM header cannot be read.", "Export the film again. If it was de-identified, keep its SOP Class UID."
    ),
    "no_pixels": Refusal(
        "The DICOM file holds no image.", "Export the image itself, not a report or a directory file."
    ),
    "not_radiograph": Refusal(
        "The DICOM file holds no plain X-ray film: a report, a PDF, display settings or an image of another kind.",
        "Export the CR or DX film of the hip if the archive holds one.",
    ),
    "not_for_presentation": Refusal(
        "The film is raw detector data (For Processing).",
        "Export the film as it is shown to the radiologist (For Presentation).",
    ),
    "not_grayscale": Refusal("The image is in color.", "Export the original grayscale film, not a screenshot."),
    "multi_frame": Refusal("The file holds several images.", "Export each image as a file of its own."),
    "too_large": Refusal(
        "The image is larger than any radiograph.", "Check the export; the limit is 100 million pixels."
    ),
    "unsupported_syntax": Refusal(
        "The pixel compression is not supported.",
        "Export as uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000; see `bmd-edge doctor`.",
    ),
    "unsupported_depth": Refusal("The image is not stored with 8 to 16 bits.", "Export the original grayscale film."),
    "decode_failed": Refusal(
        "The pixel data cannot be decoded.", "Export the film again; the compressed image is damaged."
    ),
    "pixel_length": Refusal("The pixel data does not have the size the header states.", "Export the film again."),
    "inconsistent_pixels": Refusal(
        "The header contradicts the pixel data.", "Export the film again; ask the vendor if it recurs."
    ),
    "not_a_regular_file": Refusal(
        "The entry is no file but a pipe, a socket or a device.", "Nothing need be done: these are never opened."
    ),
    "link": Refusal(
        "The entry is a link, and none is followed in a folder.",
        "Copy the films that it leads to into the folder, or screen them where they lie.",
    ),
    "unfinished_file": Refusal(
        "The name is that of an unfinished copy (.part, .tmp and the like).",
        "Nothing need be done while it is copied: it is read once it has a name of its own.",
    ),
    # The film
    "wrong_body_part": Refusal(
        "The header names another body part.", f"If it shows a hip, the header is wrong; else leave it out. {_ARCHIVE}"
    ),
    "wrong_view": Refusal("The film is not an anteroposterior view.", _ARCHIVE),
    "no_spacing": Refusal(
        "The film states no pixel size: no Imager Pixel Spacing, Pixel Spacing or Nominal Scanned Pixel Spacing.",
        "Give the detector's pixel size with --spacing-mm.",
    ),
    "implausible_scale": Refusal(
        "The pixel size cannot be right: Imager Pixel Spacing or Pixel Spacing of the header, one that was given, or "
        "the magnification.",
        "Check a size that was given; where the header's is wrong, give the detector's and --override-spacing.",
    ),
    "poor_exposure": Refusal(
        "The film is blank, saturated or without contrast.",
        f"Export it again as the radiologist sees it; its display window may be wrong. {_ARCHIVE}",
    ),
    "not_a_hip": Refusal(
        "No intact adult hip was found.", f"Look at the film: a hip on it may be hidden or hard to see. {_ARCHIVE}"
    ),
    "turned_film": Refusal(
        "The film is stored turned or mirrored, as its Patient Orientation says, and no hip was measured on it.",
        "Export it upright: rows toward the patient's left, columns toward the feet.",
    ),
    # The hip
    "implant": Refusal(
        "The hip holds an implant.", "The other hip can be measured if a film shows it; DXA can measure other sites."
    ),
    "fracture": Refusal(
        "The proximal femur looks fractured.", "Have this film read at once; BMD cannot be estimated here."
    ),
    "immature": Refusal(
        "The header states an age below 18 years, or the hip looks skeletally immature.",
        "BMD is estimated in adults only. If the header's age or dates are wrong, correct them in the archive.",
    ),
    "not_measurable": Refusal(
        "This hip cannot be measured reliably.",
        f"See whether the drawn landmarks lie on the hip; whether it is sound, this program cannot tell. {_ARCHIVE}",
    ),
    "cut_off": Refusal(
        "The hip is cut off by the edge of the film or by its display shutter.",
        f"{_ARCHIVE} {_NEXT} the head and 5 cm of shaft below the lesser trochanter.",
    ),
    "clipped": Refusal(
        "Too much of the bone lies at the film's highest gray value; what was there is lost.",
        "Export the film with a wider display window, or as the X-ray unit stored it.",
    ),
    "hip_not_found": Refusal(
        "This hip was not found on the film.",
        "Look at the film: the hip may be hidden, replaced, hard to see or beyond the edge. Nothing is known about it.",
    ),
    "implausible_estimate": Refusal(
        "The network's answer lies outside 0.25-1.60 g/cm2.", "Look at the film; where BMD is needed, DXA measures it."
    ),
    # The machine
    "file_unreadable": Refusal(
        "The file could not be read from disk.", "Check the disk and the file's permissions, then run again."
    ),
    "out_of_memory": Refusal(
        "The film needs more memory than this run was given.", "Run again with a larger --memory-mb."
    ),
    "worker_lost": Refusal(
        "Reading the film crashed or took too long, twice.", "Export the film again; report it with its film_id."
    ),
    "unexpected": Refusal("The film could not be processed.", "Run again; report it with the film_id if it recurs."),
}
"""Every code that can stand as `reason` of a refused or failed film or hip, or of a file that is left out."""

AT_ONCE = frozenset({"fracture"})
"""Codes of hips whose film somebody must read at once: lists begin with these and leave none out."""


_MAY_STAY = "Nothing need be done"
LEFT_OUT: dict[str, str] = {
    "empty_file": f"{_MAY_STAY}: its name is not that of a film.",
    "not_dicom": f"{_MAY_STAY}: texts, viewers, pictures and the like may stay beside films.",
    "not_radiograph": f"{_MAY_STAY}: such files may stay beside films.",
}
"""Remedies of what only lies beside films, where they differ from those of a film that was meant."""


def remedy(code: str, status: str) -> str:
    """What can be done about a film, a hip or a file without a number; `status` as in `FilmReport`."""
    return LEFT_OUT.get(code, REFUSALS[code].remedy) if status == "left_out" else REFUSALS[code].remedy


FLAGS: dict[str, str] = {
    "spacing_uncertain": "The header does not say where its pixel spacing holds; taken at the detector.",
    "spacing_given": "Pixel size given by the user; the film states none.",
    "spacing_overridden": "Pixel size given by the user, in place of what the film states.",
    "spacing_scanned": "Pixel size is that of the film's scan (Nominal Scanned Pixel Spacing).",
    "spacing_not_square": "Pixel size differs between rows and columns; a detector's does not.",
    "spacing_contradiction": "Pixel Spacing contradicts the stated magnification; the image may have been resampled.",
    "calibration_uncertain": "Pixel Spacing of a derived image (a processed copy), which does not say how it was set.",
    "decimal_comma": "The header writes commas in numbers, or between them; they were read so.",
    "magnification_contradiction": "The stated magnification contradicts the stated distances; the first was used.",
    "magnification_assumed": "Magnification not stated; assumed 1.15 +- 0.05.",
    "side_contradiction": "The header's side contradicts the anatomy.",
    "view_unknown": "The header does not name the view.",
    "display_lookup_ignored": "The header's display lookup table is damaged and was ignored.",
    "polarity_uncertain": "The header contradicts itself on which end of the gray scale is white; the picture decided.",
    "unusual_orientation": "The header says that the film is stored mirrored or turned.",
    "several_windows": "The header holds several displays; the first lookup table, else the first window, was used.",
    "lossy_compression": "The image was compressed with loss.",
    "trailing_data": "The file holds data after its end.",
    "header_irregular": "The header has mistakes, none of which touches the picture.",
    "secondary_image": "A screen save or a secondary image, not the film itself.",
    "sigmoid_perhaps_twice": "The display curve (SIGMOID) may be burned into the pixels already and was applied again.",
    "high_bit_contradiction": "The header (High Bit) contradicts the pixels, which were read as they lie.",
    "age_contradiction": "The stated age contradicts birth date and study date; the stated one was used.",
    "age_spelling": "The age is not written as the standard has it, 067Y; it was read where its meaning is clear.",
    "sex_spelling": "The sex is not written F, M or O; it was read where its meaning is clear.",
    "rotated_hip": "The hip looks strongly rotated; the estimate is less certain.",
    "perhaps_not_intact": "Less surely intact than most hips: look for a fracture, an implant, open growth plates.",
    "shaft_short": "Little shaft is visible below the lesser trochanter.",
    "low_contrast": "The film has little contrast at the hip.",
    "partly_clipped": "Part of the bone lies at the film's highest gray value; what was there is lost.",
    "covered_region": "A label, the beam's edge or another area of one gray level lies in the hip's region.",
    "shutter_in_region": "A display shutter cuts the hip's region.",
    "outside_reference_range": "Outside the range of community samples; confirm by DXA soon.",
    "assumed_postmenopausal": "Woman of 50 or more taken as postmenopausal.",
    "other_maker": "The bundle was made with films of one maker only; this film is not known to be one of them.",
    "unlike_training_films": "The film is unlike the films the network was trained on.",
}
"""Cautions that may stand beside a number."""

_STORED = "Use the film as the X-ray unit stored it, if the archive holds it."
TO_DO: dict[str, str] = {
    "spacing_contradiction": _STORED,
    "calibration_uncertain": _STORED,
    "magnification_contradiction": "Find out which is right; the number hangs on it.",
    "side_contradiction": "Find out which side it is, and correct the header in the archive.",
    "polarity_uncertain": "Look whether bone is white in the picture.",
    "secondary_image": "Use the film itself, if the archive holds it.",
    "sigmoid_perhaps_twice": _STORED,
    "high_bit_contradiction": "Look whether the picture shows the whole film.",
    "age_contradiction": "Find out the age; T-score and headline hang on it.",
    "partly_clipped": REFUSALS["clipped"].remedy,
}
"""What can be done about those flags that say that something is wrong; the others only say how the number came."""


def reasons_said(counts: Mapping[str, int]) -> str:
    """Reasons by number, the most frequent first, each code with its sentence: the same words in every command."""
    sentences = {code: f" ({refusal.sentence})" for code, refusal in REFUSALS.items()}
    most_first = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{n} {code}{sentences.get(code, '')}" for code, n in most_first)


class BmdEdgeError(Exception):
    """Base of every error this package raises on purpose."""


class _Coded(BmdEdgeError):
    """An error with a code of `REFUSALS`; `detail` adds facts, never patient data.

    `whose` holds the facts of a refused film by which it can be told whose it is, for its report; empty where none are.
    """

    code: str
    detail: str
    whose: dict[str, str | None]

    def __init__(self, code: str, detail: str = "") -> None:
        if code not in REFUSALS:
            raise KeyError(f"unknown refusal code: {code}")
        self.code = code
        self.detail = detail
        self.whose = {}
        super().__init__(f"{code}: {detail or REFUSALS[code].sentence}")

    def __reduce__(self) -> tuple[type["_Coded"], tuple[str, str], dict[str, Any]]:
        # An Exception's own would call with the message alone. What is kept besides, notes among it, comes last.
        return type(self), (self.code, self.detail), self.__dict__


class FilmRefused(_Coded):
    """The whole film gets no number."""


class HipRefused(_Coded):
    """One hip gets no number.

    `side` is "R", "L" or None when unknown; `landmarks_px` as in `bmd_edge.hips.region.Hip`, empty when none is known.
    """

    side: str | None
    landmarks_px: dict[str, tuple[float, float]]

    def __init__(
        self,
        code: str,
        detail: str = "",
        side: str | None = None,
        landmarks_px: dict[str, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.side = side
        self.landmarks_px = landmarks_px or {}


class FilmFailed(_Coded):
    """The film could not be processed for a reason outside the film."""


class UsageError(BmdEdgeError):
    """Wrong use of a command or function; the message names the remedy."""


class TableError(UsageError):
    """A film table breaks its contract; the message names the row."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """What a message adds behind a word that is none of the choices: " (did you mean film?)", or nothing.

    The nearest is spelled like it, or is the only one that holds all of its parts: bmd_neck, bmd_femoral_neck_gcm2. The
    x_ of further columns counts for nothing: it would make all short names alike.
    """
    from difflib import get_close_matches  # heavier than all else here, and only for mistakes

    of = {choice.casefold().removeprefix("x_"): choice for choice in choices}
    bare = word.casefold().removeprefix("x_")
    parts = set(bare.split("_"))
    holding = [one for one in of if parts <= set(one.split("_"))]
    found = holding if len(holding) == 1 else get_close_matches(bare, of, n=1)
    return f" (did you mean {of[found[0]]}?)" if found else ""


def none_of(word: str, choices: Collection[str]) -> str:
    """What a message says of a word that is none of the choices: "'r' is not one of R, L (did you mean R?)"."""
    shown = repr(word if len(word) <= 40 else f"{word[:37]}...")
    return f"{shown} is not one of {', '.join(choices)}{nearest(word, choices)}"


def install(extra: str) -> str:
    """How an extra is installed: from a checkout, for `bmd-edge` on a package index would be somebody else's."""
    return f"pip install '.[{extra}]' in a checkout of bmd-edge"


class MissingExtra(UsageError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"{module} is not installed: {install(extra)}")
        self._what = module, extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str], dict[str, Any]]:
        return type(self), self._what, self.__dict__


class EngineError(BmdEdgeError):
    """The engine cannot do what was asked."""


class BundleError(EngineError):
    """The bundle is missing, stale or invalid."""
