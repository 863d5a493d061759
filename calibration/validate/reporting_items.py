"""What three guidelines ask a report to say: where this one says it, and what only the clinic can.

In our own words and by topic, without their numbers: who submits a report fills in the guideline's own list. STARD-AI
(Nat Med 2025), TRIPOD+AI (BMJ 2024;385:e078378), CLAIM 2024 (Radiol Artif Intell 2024;6:e240300).
"""

from typing import NamedTuple

STARD, TRIPOD, CLAIM = "STARD-AI", "TRIPOD+AI", "CLAIM 2024"
ALL = (STARD, TRIPOD, CLAIM)
_MODEL_CARD = "MODEL_CARD.md of the bundle, and who made it"


class Item(NamedTuple):
    """A topic, the guidelines that ask for it, and where the report says it; None: only the clinic can.

    `planned` is true where the answer stands in the report of a planned study only.
    """

    topic: str
    asked_by: tuple[str, ...]
    answer: str | None
    planned: bool = False


ITEMS = (
    Item("Which version of the model was tested, to the byte", ALL, "bundle and its digest, in the head of the page"),
    Item("What it was trained on, and whether test subjects were among them", ALL, "head of the page; Findings"),
    Item("How the networks were built, trained (rare kinds too), chosen and joined", (TRIPOD, CLAIM), _MODEL_CARD),
    Item("Whether the model was adjusted to the clinic", (TRIPOD,), "Headline of a film; Findings"),
    Item("What goes in and what comes out, with units", ALL, "How it was done"),
    Item("How films were processed before the model", (STARD, CLAIM), "How it was done"),
    Item("Cuts of the index test, and whether they were set beforehand", (STARD, TRIPOD), "Headline of a film"),
    Item("Scale of the reference standard, and conversions", ALL, "head of the page; How it was done"),
    Item("Aims and their limits, set beforehand", ALL, "Against the plan", True),
    Item("Size of the study and its reason", ALL, "the plan: sizes and assumptions", True),
    Item("Changes from the plan", (STARD, TRIPOD), "Against the plan: deviations", True),
    Item("Days between index test and reference standard", (STARD,), "Against the plan; Findings", True),
    Item(
        "Indeterminate results, poor films, and films without a number", ALL, "Films in and out; Hips without a number"
    ),
    Item("Flow of subjects, with who dropped out and why", ALL, "Films in and out"),
    Item("Missing reference standard", ALL, "Films in and out"),
    Item("How many subjects, and how many of them with low bone mass", ALL, "At a glance; Headline of a film"),
    Item("Two by two tables of test and reference", (STARD, CLAIM), "Headline of a film"),
    Item("Accuracy with intervals that know of several films of a subject", ALL, "At a glance; each site"),
    Item("Calibration: slope, intercept and curve", (TRIPOD,), "each site"),
    Item("Comparison with what is known without the film", (TRIPOD,), "What the films add"),
    Item("Results in subgroups, and fairness between them", ALL, "Subgroups"),
    Item("Differences between clinics", (TRIPOD,), "page of study pool"),
    Item("What in a film its estimate rests on", (CLAIM,), "each film's report, with landmarks"),
    Item("Where the model fails", (STARD, CLAIM), "Largest differences; Hips without a number"),
    Item("Robustness: repeated films, other makers, INT8", (CLAIM,), "Repeated films; Subgroups; INT8 against fp32"),
    Item("Statistical methods and software with versions", ALL, "How it was done; validation.json"),
    Item("How every figure can be looked into and made anew", (STARD, CLAIM), "validation.json; pairs.csv"),
    Item("What the numbers may not be used for", ALL, "first line of the page"),
    Item("Title and abstract that name the kind of study", ALL, None),
    Item("Why the study is done, for which use, and where in the way of a patient", ALL, None),
    Item("Prospective or retrospective; dates, places, setting", ALL, None),
    Item("Whom the study asked, by which criteria, in a row or chosen", ALL, None),
    Item("How films and subjects differ from those of the training", (TRIPOD, CLAIM), None),
    Item("Exposure technique and DEXA protocol, devices and their quality control", (STARD, CLAIM), None),
    Item("Why DEXA is the reference, and how precise it is at the clinic", ALL, None),
    Item("Who read the DEXA, and whether blind to the estimate; and the reverse", (STARD, CLAIM), None),
    Item("Age, sex, ancestry, illness, treatment and fracture history of those who took part", ALL, None),
    Item("Known inequalities in care, and what the study does about them", (STARD, TRIPOD), None),
    Item("Who uses the estimate, what they must know, what else they see", (STARD, TRIPOD), None),
    Item("How severe, and which other illnesses", (STARD,), None),
    Item("Harm by film or DEXA", (STARD,), None),
    Item("How films lost their names, and who may see the data", (STARD, CLAIM), None),
    Item("Approval by an ethics board, consent, registration, protocol", ALL, None),
    Item("Patients and public in the making of the study", (STARD, TRIPOD), None),
    Item("Limits, meaning and generality of the results, and what is to follow", ALL, None),
    Item("Money, interests, access to data and code", ALL, None),
)
