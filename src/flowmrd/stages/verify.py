"""Stage behind ``flowmrd verify RUNDIR``: recompute every digest and name every alteration.

It checks result files against ``results/manifest.json``; the manifest against ``results/provenance.json``; tubes,
configuration, sheets and panels against the provenance; the RO-Crate against the manifest; the chain and signatures of
the review log; and whether each signature is still valid for its result. Nothing is changed.

Command: ``flowmrd verify RUNDIR [--public-key PUB] [--head DIGEST] [--json]``; exit 0 where nothing was altered, 2
otherwise. The provenance notes how the review log stood at the end of the run; ``--head`` is a later head digest that
was noted elsewhere (``flowmrd review import`` and ``flowmrd review status`` print it).

Somebody who can write the whole folder can alter a result and rewrite manifest and provenance to match. A review that
is signed with the laboratory's key still reveals this, because it holds the digest of its ``mrd.json``. See
docs/review.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flowmrd.config import RunConfig, Sample, load_config, read_sheet
from flowmrd.errors import ArtefactError, InputError
from flowmrd.home import REPOSITORY
from flowmrd.records.read import read_record
from flowmrd.records.run import DigestEntry, ProvenanceFile, ReviewEntry
from flowmrd.review.group_calls import calls_of_log
from flowmrd.review.keys import key_id
from flowmrd.review.log import GENESIS, Finding, LogCheck, check_log, digest
from flowmrd.review.status import PUBLIC_KEY, ReviewState, harmless, review_status, trusted_key
from flowmrd.stages.manifest import MANIFEST, read_manifest, result_files
from flowmrd.stages.provenance import CONFIG, PROVENANCE, input_paths, locked_packages
from flowmrd.stages.ro_crate import CRATE, RECORDS
from flowmrd.store import digest_file, read_json


@dataclass
class Verification:
    """Outcome of a verification.

    Attributes
    ----------
    findings
        Alterations: each names the file or entry.
    notes
        Facts worth knowing that are not alterations (another version installed, an interrupted import).
    checked
        Number of checked items, by kind.
    """

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was altered."""
        return not self.findings

    def add(self, where: str, what: str) -> None:
        """Note an alteration."""
        self.findings.append(Finding(where, what))

    def lines(self) -> list[str]:
        """Report for a terminal; ASCII, because names may come from altered files."""
        found = [f"ALTERED {finding.where}: {finding.what}" for finding in self.findings]
        found += [f"note: {note}" for note in self.notes]
        counted = ", ".join(f"{number} {kind}" for kind, number in self.checked.items())
        found.append(f"{'Nothing altered' if self.ok else f'{len(self.findings)} alterations'} ({counted} checked).")
        return [harmless(line) for line in found]

    def to_json_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "ok": self.ok,
            "findings": [{"where": finding.where, "what": finding.what} for finding in self.findings],
            "notes": self.notes,
            "checked": self.checked,
        }


INPUT_CHANGED: Final = "this input was changed after the run; run again, signatures will be void"
PAGES_CHANGED: Final = (
    "this input was changed after the run, in keys that change no result (such as the language); run again to make "
    "the pages anew, signatures stay valid"
)


def verify(
    run_directory: Path, *, public_key: Path | None = None, head: str | None = None, tubes: bool = True
) -> Verification:
    """Check a run directory.

    Parameters
    ----------
    public_key
        The laboratory's public key; by default ``config/flowmrd-review.pub`` where it exists.
    head
        A head digest of the review log that was noted earlier, which the log must contain.
    tubes
        Also digest the FCS files, which takes as long as reading them.

    Raises
    ------
    ConfigError, SheetError
        Where configuration or sample sheet cannot be read.
    ReviewError
        Where the public key cannot be read.
    """
    if not (run_directory / "results").is_dir():
        raise ArtefactError(
            str(run_directory),
            found="no results",
            expected="a run directory after 'flowmrd run'",
            todo="give the directory that holds config/ and results/",
        )
    report = Verification()
    files = _check_results(run_directory, report)
    record = _check_provenance(run_directory, report)
    if record is not None:
        _check_inputs(run_directory, record, report, tubes=tubes)
        _check_software(record, report)
    if files is not None:
        _check_crate(run_directory, files, report)
    _check_reviews(run_directory, report, public_key, head)
    if record is not None:
        _check_noted_review(run_directory, record.review, report, public_key)
    return report


def _check_results(run_directory: Path, report: Verification) -> Mapping[str, DigestEntry] | None:
    try:
        files = read_manifest(run_directory)
    except ArtefactError as error:
        report.add("results/manifest.json", f"{error.found}: result files cannot be checked")
        return None
    results = run_directory / "results"
    for name, facts in files.items():
        path = results / name
        if not path.is_file():
            report.add(f"results/{name}", "it is gone")
        elif path.is_symlink() or digest_file(path) != facts.sha256:
            report.add(f"results/{name}", "its content was changed after the run")
    for found in result_files(run_directory):
        if found.as_posix() not in files:
            report.add(f"results/{found.as_posix()}", "it was added after the run")
    report.checked["result files"] = len(files)
    return files


def _check_provenance(run_directory: Path, report: Verification) -> ProvenanceFile | None:
    path = run_directory / PROVENANCE
    try:
        record = read_record(path, ProvenanceFile)
    except ArtefactError as error:
        report.add("results/provenance.json", f"it is no provenance record ({error.found}): inputs cannot be checked")
        return None
    manifest = run_directory / MANIFEST
    if manifest.is_file() and digest_file(manifest) != record.results.manifest_sha256:
        report.add("results/manifest.json", "it is not the one the provenance names")
    return record


def _check_inputs(run_directory: Path, record: ProvenanceFile, report: Verification, *, tubes: bool) -> None:
    try:
        config = load_config(run_directory / CONFIG)
        samples, _ = read_sheet(run_directory / config.samples)
        paths = input_paths(run_directory, config, samples)
    except InputError as error:
        report.add(error.where, f"it cannot be read any more ({error.found})")
        return
    expected = {facts.path: facts.sha256 for facts in record.inputs.files}
    for label, sha256 in expected.items():
        path = paths.get(label)
        if path is None:
            report.add(label, "this input is gone, or the configuration does not name it any more")
        elif digest_file(path) != sha256:
            same = label == CONFIG.as_posix() and _same_results(run_directory, config, samples)
            report.add(label, PAGES_CHANGED if same else INPUT_CHANGED)
    for label in paths.keys() - expected.keys():
        report.add(label, "this input was added after the run")
    report.checked["inputs"] = len(expected)
    if not tubes:
        report.notes.append("FCS files were not read")
        return
    present = {sample.sample: sample.fcs for sample in samples}
    read = 0
    for tube in record.inputs.tubes:
        name = tube.sample
        if tube.sha256 is None:
            report.notes.append(f"sample {name} had no result, its FCS file is not checked")
            continue
        fcs = present.get(name)
        if fcs is None:
            report.add(f"sample {name}", "its row is gone from the sample sheet")
        elif not fcs.is_file():
            report.notes.append(f"sample {name}: its FCS file is not here (archived?), so it is not checked")
        elif digest_file(fcs) != tube.sha256:
            report.add(f"sample {name}", "its FCS file is not the one that was analysed")
        read += fcs is not None and fcs.is_file()
    report.checked["FCS files"] = read


def _same_results(run_directory: Path, config: RunConfig, samples: Sequence[Sample]) -> bool:
    """Whether a configuration differs from the run's only in keys that change no result."""
    for sample in samples:
        path = run_directory / "results" / "samples" / sample.sample / "mrd.json"
        if path.is_file():
            try:
                named = read_json(path)["provenance"]["config_sha256"]
            except (ArtefactError, LookupError, TypeError):
                return False  # an altered result, which is told by its own digest
            if named not in {config.result_digest, config.for_tube(sample.sample).result_digest}:
                return False
    return True


def _check_software(record: ProvenanceFile, report: Verification) -> None:
    lock = REPOSITORY / "requirements.lock"
    if lock.is_file() and digest_file(lock) != record.software.lock_sha256:
        report.notes.append("this installation has another requirements.lock than the run")
    installed = record.software.packages
    differing = sum(1 for name, version in locked_packages().items() if installed.get(name) not in (version, None))
    if differing:
        report.notes.append(f"{differing} packages had other versions in the run than this lock file asks for")


def _check_crate(run_directory: Path, files: Mapping[str, DigestEntry], report: Verification) -> None:
    where = CRATE.as_posix()
    try:
        graph = read_json(run_directory / CRATE)["@graph"]
        entities = {entity["@id"]: entity for entity in graph}
        parts = {part["@id"] for part in entities["./"]["hasPart"]}
        described = {name: entities[name].get("sha256") for name in parts}
    except ArtefactError as error:
        report.add(where, error.found)
        return
    except (KeyError, TypeError, AttributeError):
        report.add(where, "it is not an RO-Crate any more")
        return
    from urllib.parse import unquote

    plain = {unquote(name): sha256 for name, sha256 in described.items()}
    for name, facts in files.items():
        if plain.get(name) != facts.sha256:
            report.add(where, f"it describes {name} differently from the manifest")
    for name in sorted(plain.keys() - files.keys() - set(RECORDS)):
        report.add(where, f"it describes {name}, which is no result of the run")
    for name in RECORDS:
        if not (run_directory / "results" / name).is_file():
            report.add(f"results/{name}", "it is gone")
    report.checked["crate entries"] = len(plain)


def _check_reviews(run_directory: Path, report: Verification, public_key: Path | None, head: str | None) -> None:
    check = check_log(run_directory)
    status = review_status(run_directory, public_key, signatures=1)  # which of them are void, whatever is required
    report.checked["review entries"] = status.entries
    for finding in status.findings:
        report.add(f"results/review/{finding.where}", finding.what)
    if check.interrupted:
        report.notes.append("an import of a review was interrupted; the next import completes it")
    if head is not None and head.lower() not in digests_of_chain(check):
        report.add(
            "results/review/log.jsonl", f"the entry noted as {head[:12]} is not in it: it was put back or rebuilt"
        )
    signed = [entry.seq for entry in check.entries if entry.signature is not None]
    if signed and public_key is None and not (run_directory / PUBLIC_KEY).is_file():
        report.notes.append("entries are signed, but no public key is here: signatures are not checked")
    for sample in status.samples:
        if sample.state is ReviewState.VOID and not status.findings:
            report.add(f"review of sample {sample.sample}", f"void: {sample.reason}")
        if not status.findings and any(entry.sample == sample.sample and entry.recount for entry in check.entries):
            _check_calls(run_directory, sample.sample, report)


def _check_calls(run_directory: Path, sample: str, report: Verification) -> None:
    """Whether a result was counted with the calls that the log holds about it."""
    path = run_directory / "results" / "samples" / sample / "mrd.json"
    if not path.is_file():
        return
    try:
        made_by = read_json(path)["provenance"]
        counted, automatic = made_by["review_sha256"], made_by["automatic_sha256"] or digest_file(path)
    except (ArtefactError, KeyError, TypeError):
        return  # told among the result files
    if calls_of_log(run_directory, sample, automatic).sha256 != counted:
        report.add(
            f"review of sample {sample}",
            "the result was not counted with the calls of the log: import the last review of this sample again",
        )


def _check_noted_review(
    run_directory: Path, noted: ReviewEntry | None, report: Verification, public_key: Path | None
) -> None:
    """Check the review log and key against the run's provenance; the log must be a continuation of the noted one."""
    if noted is None:
        report.add("results/provenance.json", "it does not say how the review log stood: the note was taken out")
        return
    if noted.head not in digests_of_chain(check_log(run_directory)):
        report.add(
            "results/review",
            f"the log that the run noted ({noted.entries} entries, head {str(noted.head)[:12]}) is not the "
            "beginning of this one: it was put back, rebuilt or removed",
        )
    if noted.key_id is not None:
        key = trusted_key(run_directory, public_key)
        if key is None:
            report.add(PUBLIC_KEY.as_posix(), "the laboratory's public key is gone: signatures are not checked")
        elif key_id(key) != noted.key_id:
            report.add(PUBLIC_KEY.as_posix(), f"another key ({key_id(key)}) than in the run ({noted.key_id})")


def digests_of_chain(check: LogCheck) -> set[str]:
    """Every head digest that the log has had, including that of the empty log."""
    return {GENESIS} | {digest(entry.line()) for entry in check.entries}
