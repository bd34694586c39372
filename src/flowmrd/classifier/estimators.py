"""The classifier as scikit-learn estimators, so that its numbers can be searched with scikit-learn's own tools.

The contract is scikit-learn's: ``get_params``, ``set_params``, ``clone``; ``fit`` returns the estimator; fitted
attributes end in ``_``; an estimator that is not fitted raises ``NotFittedError``. Every number of
:class:`~flowmrd.classifier.parameters.ClassifierParameters` is a nested parameter::

    search = GridSearchCV(MrdClassifier(), {"parameters__group_gain_least": [30.0, 45.0, 60.0]}, cv=3)
    search.fit(tubes, true_cells)        # tubes with 0 true cells are the controls of every training fold

Only this module imports scikit-learn; a run of the workflow does not pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from flowmrd.classifier.candidate_cells import Bools, CandidateCells
from flowmrd.classifier.classification import Classification
from flowmrd.classifier.classifier import classify_tube
from flowmrd.classifier.control_judgement import build_judged_reference
from flowmrd.classifier.judge_tube import classify, columns_of_events, markers_after
from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.library import Library
from flowmrd.classifier.normal_reference import ReferenceModel
from flowmrd.classifier.novelty import Novelty, judge_novelty
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.storage import in_folder, load_reference
from flowmrd.classifier.tube_candidates import candidates
from flowmrd.classifier.tube_model import fit_tube
from flowmrd.config import PriorTherapy
from flowmrd.records.read import read_record
from flowmrd.records.references import ReferenceFile
from flowmrd.tube import Tube

__all__ = ["MrdClassifier", "NormalReference", "NotFittedError"]

AnyTube = Tube | CandidateCells
NESTED = "parameters__"


def cells_of(tube: AnyTube, parameters: ClassifierParameters) -> CandidateCells:
    """The candidate cells of a gated tube; candidate cells as they are, with the doublets they came with."""
    return tube if isinstance(tube, CandidateCells) else candidates(tube, parameters).cells


class _WithParameters(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator whose ``parameters`` are searched field by field, as ``parameters__<name>``."""

    parameters: ClassifierParameters | None

    @property
    def chosen(self) -> ClassifierParameters:
        """The parameters in use: the defaults where none are given."""
        return self.parameters or ClassifierParameters()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the estimator; with ``deep`` every number of the classifier too."""
        found: dict[str, Any] = super().get_params(deep=False)
        if deep:
            found |= {f"{NESTED}{field.name}": getattr(self.chosen, field.name) for field in fields(self.chosen)}
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises
        ------
        ValueError
            If the estimator or the classifier has no such parameter.
        """
        nested = {name.removeprefix(NESTED): value for name, value in params.items() if name.startswith(NESTED)}
        super().set_params(**{name: value for name, value in params.items() if not name.startswith(NESTED)})
        unknown = sorted(set(nested) - {field.name for field in fields(ClassifierParameters)})
        if unknown:
            raise ValueError(f"the classifier has no parameter {', '.join(unknown)}; docs/thresholds.md lists all")
        if nested:
            self.parameters = replace(self.chosen, **nested)
        return self


class NormalReference(_WithParameters):
    """Model of normal marrow, fitted to control tubes.

    Parameters
    ----------
    parameters
        Numbers of the classifier; the defaults where None.
    panel
        Name of the panel; that of the tubes where empty.
    max_cells
        Cells of the B-lineage window that are kept of a control.
    accepted, excluded
        Controls to keep although they are odd, and controls to leave out: name and reason.

    Attributes
    ----------
    model_
        The fitted reference: full model, fold models, and every control as judged without itself.
    judgements_
        What was found in every control (:class:`~flowmrd.records.references.JudgedControl`), by name. A control with
        findings that no other control has is odd and left out, as in a run.
    features_
        Names of the markers that all controls have.
    n_controls_
        Number of controls that the reference is built from.
    """

    def __init__(
        self,
        parameters: ClassifierParameters | None = None,
        *,
        panel: str = "",
        max_cells: int = 200_000,
        accepted: Mapping[str, str] | None = None,
        excluded: Mapping[str, str] | None = None,
    ) -> None:
        self.parameters = parameters
        self.panel = panel
        self.max_cells = max_cells
        self.accepted = accepted
        self.excluded = excluded

    def fit(self, controls: Sequence[AnyTube], y: object = None) -> Self:
        """Learn from controls.

        Parameters
        ----------
        controls
            Gated tubes of marrow without leukaemia, or their candidate cells, under different names; at least one. A
            single control does not show how tubes differ. From four controls on, each is judged by the others.
        y
            Not used; scikit-learn passes it.

        Raises
        ------
        ValueError
            If there is no control.
        """
        tubes = list(controls)
        if not tubes:
            raise ValueError("a reference needs at least one control tube")
        panel = self.panel or next((tube.panel.name for tube in tubes if isinstance(tube, Tube)), "")
        model, _ = build_judged_reference(
            panel,
            [cells_of(tube, self.chosen) for tube in tubes],
            parameters=self.chosen,
            max_cells=self.max_cells,
            accepted=self.accepted,
            excluded=self.excluded,
        )
        return self._of(model)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """The fitted reference that a run stored.

        Parameters
        ----------
        path
            ``results/reference/<panel>`` of a run or a copy of this folder, or ``reference.json`` in it.

        Returns
        -------
        NormalReference
            With the seed that it was fitted with; it judges tubes as the run does.

        Raises
        ------
        ArtefactError
            If the files are missing, altered or of another version.
        """
        file = in_folder(path, "reference.json")
        model, made = load_reference(file), read_record(file, ReferenceFile).manifest
        parameters = ClassifierParameters(seed=made.seed)
        chosen = None if parameters == ClassifierParameters() else parameters
        loaded = cls(chosen, panel=model.panel, max_cells=made.max_events_per_control)
        return loaded._of(model)

    def _of(self, model: ReferenceModel) -> Self:
        self.model_ = model
        self.judgements_ = model.judgements
        self.features_ = model.features
        self.n_controls_ = 0 if model.provisional else sum(one.used for one in model.judgements)
        return self

    def novelty(self, tube: AnyTube) -> Novelty:
        """Distance of a tube from the controls; a score above 1 is more than the variation between controls explains.

        Parameters
        ----------
        tube
            A gated tube, or its candidate cells; a control is compared with the others.

        Raises
        ------
        NotFittedError
            If the reference has not been fitted.
        """
        check_is_fitted(self, "model_")
        cells = cells_of(tube, self.chosen).select(self.features_)
        own = next((record for record in self.model_.controls if record.name == cells.name), None)
        normal = self.model_.model if own is None else self.model_.folds[own.fold]
        fitted = fit_tube(normal, cells, self.chosen)
        return judge_novelty(fitted, self.features_, self.model_, self.chosen, without=cells.name)


class MrdClassifier(_WithParameters):
    """Classifier of the leukaemic events of a tube.

    Parameters
    ----------
    parameters
        Numbers of the classifier; the defaults where None.
    prior_therapy
        ``none``, ``cd19``, ``cd22`` or ``cd19+cd22``: therapy before the tubes. For gated tubes, the panel says which
        markers this therapy may remove or mask, unless ``parameters.unreliable`` names them.
    patient
        Patient of the tubes; the patient's own phenotype in a library is not used.

    Attributes
    ----------
    reference_
        Normal marrow, a :class:`~flowmrd.classifier.normal_reference.ReferenceModel`.
    laip_
        What was found in the patient's diagnosis tubes; None where there were none.
    library_
        Phenotypes of other patients.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> stricter = clone(MrdClassifier(prior_therapy="cd22")).set_params(parameters__detect_events=30)
    >>> stricter.prior_therapy, stricter.chosen.detect_events
    ('cd22', 30)
    """

    def __init__(
        self,
        parameters: ClassifierParameters | None = None,
        *,
        prior_therapy: str = "none",
        patient: str = "",
    ) -> None:
        self.parameters = parameters
        self.prior_therapy = prior_therapy
        self.patient = patient

    def fit(
        self,
        reference: NormalReference | ReferenceModel | Sequence[AnyTube],
        y: Sequence[float] | npt.NDArray[Any] | None = None,
        *,
        laip: PatientLaip | FoundLaip | None = None,
        library: Sequence[PatientLaip] | None = None,
    ) -> Self:
        """Take a reference and phenotypes.

        Parameters
        ----------
        reference
            A fitted reference, or tubes, as scikit-learn's tools pass them. A reference is then fitted to the tubes
            without leukaemia.
        y
            Shape (n_tubes,): number of leukaemic cells in every tube, where ``reference`` is a sequence of tubes.
            Without it all tubes are controls.
        laip
            What :func:`flowmrd.find_laip` found, or the phenotype itself. Where it found none, :meth:`judge` says so.
        library
            Phenotypes of other patients.

        Raises
        ------
        NotFittedError
            If the reference has not been fitted.
        ValueError
            If tubes are given and none of them is free of leukaemia.
        """
        if isinstance(reference, NormalReference):
            check_is_fitted(reference, "model_")
            self.reference_: ReferenceModel = reference.model_
        elif isinstance(reference, ReferenceModel):
            self.reference_ = reference
        else:
            clean = [tube for i, tube in enumerate(reference) if y is None or float(y[i]) == 0.0]
            self.reference_ = NormalReference(self.chosen).fit(clean).model_
        self.laip_ = FoundLaip(laip) if isinstance(laip, PatientLaip) else laip
        self.library_ = tuple(library or ())
        return self

    def judge(self, tube: Tube) -> Tube:
        """The tube with ``mrd``, ``mrd_score``, ``cluster`` and ``classification``, ready for ``flowmrd.quantify``.

        Parameters
        ----------
        tube
            A gated tube. Cells are spiked into copies of it, so this method takes longer than :meth:`predict`.

        Raises
        ------
        GateError
            If the tube lacks the gates that every panel must define.
        NotFittedError
            If the classifier has not been fitted.
        """
        check_is_fitted(self, "reference_")
        return classify(
            tube,
            self.reference_,
            laip=self.laip_,
            library=self.library_,
            patient=self.patient,
            parameters=self._for(tube),
        )

    def predict(self, tubes: AnyTube | Sequence[AnyTube]) -> Any:
        """Leukaemic events.

        Parameters
        ----------
        tubes
            One tube, or several.

        Returns
        -------
        numpy.ndarray or list
            For one gated tube: shape (n_events,), boolean. For candidate cells: shape (n,), boolean. For several tubes:
            a list of these.

        Raises
        ------
        NotFittedError
            If the classifier has not been fitted.
        """
        check_is_fitted(self, "reference_")
        if isinstance(tubes, Tube | CandidateCells):
            return self._one(tubes)[0]
        return [self._one(tube)[0] for tube in tubes]

    def decision_function(self, tubes: AnyTube | Sequence[AnyTube]) -> Any:
        """Log10 of the ratio of leukaemic to normal density for every event; -99 for events outside the search.

        Parameters
        ----------
        tubes
            One tube, or several.

        Returns
        -------
        numpy.ndarray or list
            float32, shaped as :meth:`predict` returns it.

        Raises
        ------
        NotFittedError
            If the classifier has not been fitted.
        """
        check_is_fitted(self, "reference_")
        if isinstance(tubes, Tube | CandidateCells):
            return self._one(tubes)[1]
        return [self._one(tube)[1] for tube in tubes]

    def score(self, tubes: Sequence[AnyTube], y: Sequence[float] | npt.NDArray[Any]) -> float:
        """Share of tubes that are classified correctly, 0 to 1.

        Parameters
        ----------
        tubes
            Gated tubes or candidate cells.
        y
            Shape (n_tubes,): true number of leukaemic cells. A tube with leukaemic cells is classified correctly if the
            count is at least ``detect_events`` and within a factor of two of the truth. A tube without any is
            classified correctly if fewer than ``detect_events`` are counted.

        Raises
        ------
        NotFittedError
            If the classifier has not been fitted.
        """
        least = self.chosen.detect_events
        right = []
        for found, true in zip(self.predict(tubes), y, strict=True):
            count = int(found.sum())
            right.append(count < least if true == 0 else count >= least and true / 2.0 <= count <= 2.0 * true)
        return float(np.mean(right))

    def _for(self, tube: AnyTube) -> ClassifierParameters:
        """The parameters, with the markers that the panel of a gated tube calls unreliable after the therapy."""
        chosen = self.chosen
        if not isinstance(tube, Tube):
            return chosen
        therapy = PriorTherapy(self.prior_therapy)
        return replace(
            chosen,
            unreliable=chosen.unreliable or markers_after(tube.panel, therapy.targets),
            shifted=chosen.shifted or markers_after(tube.panel, frozenset({"steroid"})),
        )

    def _one(self, tube: AnyTube) -> tuple[Bools, npt.NDArray[np.float32]]:
        """Mask and score of one tube; no cells are spiked into it."""
        parameters = replace(self._for(tube), replicates=0)
        if isinstance(tube, CandidateCells):
            result = self._classified(tube, parameters)
            return result.mrd, result.score
        found = candidates(tube, parameters)
        result = self._classified(found.cells, parameters)
        events = columns_of_events(result, found, tube.n_events)
        return events.mrd, events.score

    def _classified(self, cells: CandidateCells, parameters: ClassifierParameters) -> Classification:
        library = Library(self.library_).without(self.patient)
        laip = None if self.laip_ is None else self.laip_.laip
        return classify_tube(cells, self.reference_, laip=laip, library=library, parameters=parameters)
