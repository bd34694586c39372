"""MRD after cycle 1 for every patient, taken from the pipeline's ``mrd.json`` and never from a typed-in column.

Several tubes of one specimen are judged together, as on the cohort page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flowmrd.config.run import MrdConfig
from flowmrd.config.sheet import Role, Sample
from flowmrd.errors import ArtefactError, InputError, TrialError
from flowmrd.flags import Flag, flag
from flowmrd.mrd.result import MrdResult
from flowmrd.mrd.specimen import SpecimenResult, pool_specimen
from flowmrd.records.read import read_record
from flowmrd.trial.result import MrdCall
from flowmrd.trial.tables import Patient


def plain(timepoint: str) -> str:
    """Letters and digits of a timepoint, so that "C1 D21", "c1-d21" and "C1D21" are the same."""
    return "".join(character for character in timepoint.casefold() if character.isalnum())


def choose_samples(
    patients: Sequence[Patient], samples: Sequence[Sample], timepoints: Sequence[str], sheet: Path
) -> tuple[dict[str, tuple[Sample, ...]], list[InputError]]:
    """The tube after cycle 1 of each patient, or the tubes of the one specimen, and every ambiguity.

    ``mrd_sample`` of the patients' sheet decides where it is given. It names a tube, which then counts alone, or a
    specimen. Otherwise the patient's only follow-up tube at one of the timepoints is taken, or the tubes of one
    ``specimen_id``. Tubes of several specimens are a problem. A patient without such a tube is left out of the mapping.

    Parameters
    ----------
    sheet
        Path of the patients' sheet, for messages.
    """
    wanted = {plain(timepoint) for timepoint in timepoints}
    by_name = {sample.sample: sample for sample in samples}
    found: dict[str, tuple[Sample, ...]] = {}
    problems: list[InputError] = []
    for patient in patients:
        where = f"{sheet}, line {patient.line}"
        if patient.mrd_sample is not None:
            alone = by_name.get(patient.mrd_sample)
            named = (alone,) if alone is not None else _specimen(samples, patient.mrd_sample)
            if not named or any(one.patient != patient.patient or one.role is not Role.FOLLOWUP for one in named):
                what = "not a follow-up tube of this patient" if named else "not in the sample sheet"
                problems.append(
                    TrialError(
                        f"{where}, column mrd_sample",
                        found=f"{patient.mrd_sample}, {what}",
                        expected="a follow-up sample or specimen of this patient",
                        todo="correct it, or leave it empty to choose by timepoint",
                    )
                )
            else:
                found[patient.patient] = named
            continue
        tubes = [
            sample
            for sample in samples
            if sample.patient == patient.patient
            and sample.role is Role.FOLLOWUP
            and plain(sample.timepoint or "") in wanted
        ]
        if len(tubes) > 1 and not _one_specimen(tubes):
            problems.append(
                TrialError(
                    where,
                    found=f"{len(tubes)} tubes after cycle 1 ({', '.join(tube.sample for tube in tubes)})",
                    expected="one tube or specimen that decides",
                    todo="name it in the column mrd_sample, or give tubes of one specimen the same specimen_id",
                )
            )
        elif tubes:
            found[patient.patient] = tuple(tubes)
    return found, problems


def _one_specimen(tubes: Sequence[Sample]) -> bool:
    return tubes[0].specimen_id is not None and len({tube.specimen_id for tube in tubes}) == 1


def _specimen(samples: Sequence[Sample], name: str) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples if sample.specimen_id == name and sample.role is not Role.CONTROL)


def mrd_call(tube: Sample | None, result: MrdResult | None, review: str) -> MrdCall:
    """MRD status of one patient from one tube; see :func:`judged_call`."""
    if tube is None:
        return _not_evaluable(None, flag("NO_TUBE"))
    return (
        _not_evaluable(tube.sample, flag("NO_RESULT")) if result is None else judged_call(tube.sample, result, review)
    )


def judged_call(name: str, result: MrdResult | SpecimenResult, review: str) -> MrdCall:
    """MRD status that the result of a tube or of a specimen gives.

    ``mrd_negative`` of the verdict decides, and every class allows only what agrees with it
    (:data:`flowmrd.mrd.result.MRD_NEGATIVE_OF`): negative are NEGATIVE, and a detection whose whole 95 % interval lies
    below the target in a tube that was sensitive enough; positive is a detection whose whole interval lies at or above
    it. A result without an answer (null), a missing result and a result that the reviewer rejected are not evaluable:
    they count neither as negative nor as positive.

    Parameters
    ----------
    review
        Review state of the sample (see :class:`MrdCall`).
    """
    negative = result.verdict.mrd_negative
    reasons = result.verdict.reasons
    status = "not_evaluable" if negative is None else "negative" if negative else "positive"
    if review == "rejected":
        status = "not_evaluable"
        reasons = (flag("REVIEW_REJECTED"), *reasons)
    return MrdCall(
        sample=name,
        status=status,
        klass=result.verdict.class_.value,
        fraction=result.mrd.fraction,
        reported=result.mrd.reported,
        lod95=result.sensitivity.lod95,
        review=review,
        reasons=reasons,
    )


def result_of(path: Path, tube: Sample) -> MrdResult | None:
    """The ``mrd.json`` of a tube; None where there is none.

    Raises
    ------
    ArtefactError
        If the file is not a result of this very sample and patient.
    """
    if not path.is_file():
        return None
    result = read_record(path, MrdResult)
    if (result.sample, result.patient) != (tube.sample, tube.patient):
        raise ArtefactError(
            str(path),
            found=f"the result of sample {result.sample}, patient {result.patient}",
            expected=f"sample {tube.sample}, patient {tube.patient}",
            todo="do not move results between folders; delete the file and run again",
        )
    return result


def _not_evaluable(sample: str | None, reason: Flag) -> MrdCall:
    return MrdCall(sample=sample, status="not_evaluable", klass=None, review="not_reviewed", reasons=(reason,))


def calls_of(
    patients: Sequence[Patient],
    tubes: Mapping[str, tuple[Sample, ...]],
    results: Path,
    reviews: Mapping[str, str],
    rules: MrdConfig,
) -> dict[str, MrdCall]:
    """MRD call of every patient.

    Parameters
    ----------
    reviews
        Review state by sample; absent means not reviewed.
    rules
        Counting rules of the run, for tubes that are judged together.
    """
    calls = {}
    for patient in patients:
        chosen = tubes.get(patient.patient, ())
        read = [result_of(results / tube.sample / "mrd.json", tube) for tube in chosen]
        states = [reviews.get(tube.sample, "not_reviewed") for tube in chosen]
        present = [result for result in read if result is not None]
        if len(chosen) > 1 and present:
            name = chosen[0].specimen_id or chosen[0].sample
            calls[patient.patient] = judged_call(name, pool_specimen(name, present, rules), _review_of_all(states))
        else:
            one = chosen[0] if chosen else None
            calls[patient.patient] = mrd_call(one, read[0] if read else None, states[0] if states else "not_reviewed")
    return calls


def _review_of_all(states: Sequence[str]) -> str:
    """Review state of a specimen: rejected if any of its tubes is, otherwise the state that all its tubes have."""
    if "rejected" in states:
        return "rejected"
    return states[0] if len(set(states)) == 1 else "not_reviewed"
