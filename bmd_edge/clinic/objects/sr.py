"""A report as a Structured Report: Comprehensive 3D SR, template TID 1500, one measurement group for each hip.

The object says no more than results.csv: BMD in g/cm2 to 0.0001 with the 90 % interval as the range above and below it,
the T-score where there is one, and for a refusal its code, sentence and remedy.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementProperties,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.valuerep import DT

from bmd_edge.clinic.objects import codes as own
from bmd_edge.clinic.objects.names import uid
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.series import MAKER, MODEL, SERIES, SERIES_DESCRIPTION, dated
from bmd_edge.clinic.objects.study import Study
from bmd_edge.clinic.remedies import plain_remedy
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport, HipReport, flags_of
from bmd_edge.version import __version__

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"
_LINE = ("head_center", "neck_center", "lesser_trochanter", "shaft_proximal", "shaft_distal")
"""Along the bone from head to shaft: through all landmarks in turn the line would cross itself."""
_RECTANGLES = (4, 5)
"""Points of a line that the viewer OHIF takes for a rectangle, of which it then tells area and gray values."""
_RANGES = {"371886008": "high", "371885007": "low"}  # SCT: range of upper and of lower measurement uncertainty


def structured_report(report: FilmReport, study: Study, occasion: Occasion, names: Mapping[str, str]) -> Dataset:
    """Make the report of a film; `names` holds its "instance" and "series" UIDs, and "answer" for those within it."""
    film = _film(study)
    groups = [_group(report, hip, study, occasion, names["answer"]) for hip in report.hips or (None,)]
    box = occasion.box
    device = DeviceObserverIdentifyingAttributes(
        uid=box.uid, name=box.name, manufacturer_name=MAKER, model_name=MODEL, serial_number=box.name
    )
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    content = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=CodedConcept.from_code(own.PLAIN_FILM),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept("en-US", "RFC5646", "English (United States)")
        ),
    )
    made = Comprehensive3DSR(
        evidence=[film],
        content=content[0],
        series_instance_uid=names["series"],
        series_number=SERIES["sr"],
        sop_instance_uid=names["instance"],
        instance_number=occasion.version.number,
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
        manufacturer_model_name=MODEL,
        device_serial_number=box.name,
        software_versions=__version__,
        series_description=SERIES_DESCRIPTION,
        previous_versions=[_before(study, names, was)] if (was := occasion.version.replaced.get("sr")) else None,
    )
    made.update(study.shared)
    made.CodingSchemeIdentificationSequence = [_scheme()]
    dated(made, occasion.received)
    for equipment in made.ContributingEquipmentSequence:  # highdicom's own entry, of now
        equipment.ContributionDateTime = DT(occasion.received.replace(microsecond=0))
    return made


def _film(study: Study) -> Dataset:
    """The film as highdicom wants it; whose it is, is put in afterwards as the film has it."""
    film = Dataset()
    film.SOPClassUID, film.SOPInstanceUID = study.sop_class_uid, study.sop_instance_uid
    film.StudyInstanceUID, film.SeriesInstanceUID = study.study_instance_uid, study.series_instance_uid
    film.Rows, film.Columns, film.SpecificCharacterSet = study.rows, study.columns, "ISO_IR 192"
    for name in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
        "StudyTime", "ReferringPhysicianName",
    ):  # fmt: skip
        setattr(film, name, "")
    return film


def _before(study: Study, names: Mapping[str, str], instance: str) -> Dataset:
    was = Dataset()
    was.SOPClassUID, was.SOPInstanceUID = SOP_CLASS, instance
    was.StudyInstanceUID, was.SeriesInstanceUID = study.study_instance_uid, names["series"]
    return was


def _scheme() -> Dataset:
    """PS3.3 C.12.1.1.1.3: whose private codes they are."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = own.SCHEME, "bmd-edge: hip BMD from films"
    scheme.CodingSchemeResponsibleOrganization = MAKER
    return scheme


# -- one measurement group ----------------------------------------------------------------------------------------


def _group(
    report: FilmReport, hip: HipReport | None, study: Study, occasion: Occasion, answer: str
) -> MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations:
    """What is said of one hip, or of the film where no hip was found."""
    side = hip.side if hip else None
    place = f"{side or 'unknown side'} hip" if hip else "film"
    number = report.hips.index(hip) if hip else 0
    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(uid(answer, place, str(number)), place),
        "finding_type": own.FINDING,
        "algorithm_id": AlgorithmIdentification(
            MODEL, __version__, _parameters(report), own.ARTIFICIAL_INTELLIGENCE, MAKER
        ),
        "finding_sites": [FindingSite(own.HIP_REGION, own.SIDES.get(side or ""))],
        "measurements": [one for found in hip.estimates for one in _numbers(found)] if hip else None,
        "qualitative_evaluations": [QualitativeEvaluation(*one) for one in _coded(report, hip)],
    }
    line = _line(hip, study) if hip else None
    film = study.sop_class_uid, study.sop_instance_uid
    group: MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations
    if line is None:
        group = MeasurementsAndQualitativeEvaluations(source_images=[SourceImageForMeasurementGroup(*film)], **shared)
    else:
        region = ImageRegion(GraphicTypeValues.POLYLINE, line, SourceImageForRegion(*film))
        group = PlanarROIMeasurementsAndQualitativeEvaluations(referenced_region=region, **shared)
    for name, text in _texts(report, hip, occasion):
        item = TextContentItem(CodedConcept.from_code(name), text, RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(item)
    return group


def _parameters(report: FilmReport) -> list[str]:
    said = [f"bundle {report.bundle}", f"bundle_digest {report.bundle_digest}", f"precision {report.precision}"]
    recalibration = report.recalibration or "none"
    return [*said, f"recalibration {recalibration}", "ranges beside a BMD: 90 % prediction interval"]


def _numbers(estimate: Estimate) -> Iterator[Measurement]:
    site = [FindingSite(own.SITES[estimate.site])]
    bmd = Measurement(
        name=own.NUMBERS[estimate.site],
        value=estimate.bmd_gcm2,
        unit=own.GCM2,
        finding_sites=site,
        method=own.METHOD,
        properties=MeasurementProperties(
            upper_measurement_uncertainty=round(estimate.high_gcm2 - estimate.bmd_gcm2, 4),
            lower_measurement_uncertainty=round(estimate.bmd_gcm2 - estimate.low_gcm2, 4),
        ),
    )
    for item in bmd[0].ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeValue in _RANGES:  # highdicom gives them the unit "1"
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [CodedConcept.from_code(own.GCM2)]
    yield bmd
    if estimate.t_score is not None:
        yield Measurement(
            name=own.T_SCORE, value=estimate.t_score, unit=own.T_UNIT, finding_sites=site, method=own.METHOD
        )


def _coded(report: FilmReport, hip: HipReport | None) -> Iterator[tuple[Code, Code]]:
    status, reason = (hip.status, hip.reason) if hip else (report.status, report.reason)
    yield own.STATUS, own.spoken(status)
    if reason:
        yield own.REASON, own.spoken(reason)
    if report.band:
        yield own.HEADLINE, own.spoken(report.band)
    if hip:
        yield from ((own.FLAG, own.spoken(flag)) for flag in flags_of(hip))
    yield own.INTENDED_USE, own.RESEARCH_ONLY


def _texts(report: FilmReport, hip: HipReport | None, occasion: Occasion) -> Iterator[tuple[Code, str]]:
    """Sentences, for whoever reads the report: a code's meaning has no room for them."""
    reason = hip.reason if hip else report.reason
    if reason:
        yield own.REASON, f"{REFUSALS[reason].sentence} {plain_remedy(reason)}"
    if report.band_meaning:
        yield own.HEADLINE, report.band_meaning
    estimates = hip.estimates if hip else ()
    if any(one.t_score is not None for one in estimates):
        yield own.T_SCORE, f"T-scores refer to {REFERENCE_NAME}."
    for withheld in dict.fromkeys(one.t_score_reason for one in estimates if one.t_score_reason):
        yield own.NO_T_SCORE, T_SCORE_REASONS[withheld]
    if hip:
        yield from ((own.FLAG, FLAGS[flag]) for flag in flags_of(hip))
    approval = f"Approval {occasion.box.approval}." if occasion.box.approval else "No approval named."
    yield own.INTENDED_USE, f"{RESEARCH_USE} {occasion.box.notice} {approval}"
    if occasion.version.words:
        yield own.COMMENT, f"{occasion.version.words}. It replaces {' '.join(occasion.version.replaced.values())}."


def _line(hip: HipReport, study: Study) -> np.ndarray | None:
    """The hip's line (n, 2) in pixels of the film; None where fewer than two of its points lie on the film.

    It never has so many points that a viewer takes it for something else: those that are added lie on it.
    """
    points = [hip.landmarks_px[name] for name in _LINE if name in hip.landmarks_px]
    inside = [(x, y) for x, y in points if 0 <= x <= study.columns and 0 <= y <= study.rows]
    while len(inside) in _RECTANGLES:
        (x, y), (next_x, next_y) = inside[:2]
        inside.insert(1, ((x + next_x) / 2, (y + next_y) / 2))
    return np.array(inside) if len(inside) > 1 else None
