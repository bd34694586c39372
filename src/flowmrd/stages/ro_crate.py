"""``results/ro-crate-metadata.json``: the run as a Process Run Crate (RO-Crate 1.1), with every result and its digest.

The crate's root is ``results``. Inputs are named by sample id and digest, not by path (see
:mod:`flowmrd.stages.provenance`). https://w3id.org/ro/wfrun/process/0.5 is the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowmrd.records.run import DigestEntry, ProvenanceFile
from flowmrd.store import write_json

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

CRATE: Final = Path("results/ro-crate-metadata.json")
PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
TERMS: Final = "https://w3id.org/ro/terms/workflow-run/context"
"""Context in which ``sha256`` is a term."""

LICENCE_NOTE: Final = "No licence is granted by this record; ask the laboratory that holds the data."
MEDIA_TYPES: Final = {
    ".json": "application/json",
    ".html": "text/html",
    ".tsv": "text/tab-separated-values",
    ".csv": "text/csv",
    ".xml": "application/xml",
    ".parquet": "application/vnd.apache.parquet",
    ".fcs": "application/vnd.isac.fcs",
    ".npz": "application/zip",
    ".yaml": "application/yaml",
}
RECORDS: Final = ("manifest.json", "provenance.json", "rerun/config/config.yaml", "rerun/config/samples.tsv")
"""Files of the crate that are not results of the analysis."""


def write_crate(run_directory: Path, record: ProvenanceFile, files: Mapping[str, DigestEntry]) -> None:
    """Describe a run.

    Parameters
    ----------
    record
        ``provenance.json``.
    files
        The manifest: path relative to ``results`` to sha256 and bytes.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    run = record.run
    crate.name = "MRD analysis with flowmrd"
    crate.description = "Measurable residual disease of B-ALL from flow cytometry: results, inputs by digest, software."
    crate.metadata.extra_contexts.append(TERMS)
    crate.root_dataset["license"] = _entity(
        crate, "#licence", {"@type": "CreativeWork", "name": "No licence granted", "description": LICENCE_NOTE}
    )
    crate.root_dataset["datePublished"] = run.ended
    crate.root_dataset["conformsTo"] = _entity(
        crate, PROFILE, {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    )
    outputs = [_file(crate, name, facts) for name, facts in sorted(files.items())]
    for name in RECORDS:
        _file(crate, name, None)
    inputs = [
        _entity(
            crate,
            f"#tube-{tube.sample}",
            {
                "@type": "CreativeWork",
                "name": f"FCS file of sample {tube.sample}",
                "identifier": tube.sample,
                "additionalType": tube.role,
                **({"sha256": tube.sha256} if tube.sha256 else {}),
            },
        )
        for tube in record.inputs.tubes
    ]
    inputs += [
        _entity(
            crate,
            f"#input-{number}",
            {"@type": "CreativeWork", "name": facts.path, "sha256": facts.sha256},
        )
        for number, facts in enumerate(record.inputs.files, start=1)
    ]
    software = record.software
    tool = _entity(
        crate,
        "#flowmrd",
        {
            "@type": "SoftwareApplication",
            "name": "flowmrd",
            "softwareVersion": software.flowmrd,
            **({"identifier": software.commit} if software.commit else {}),
            "softwareRequirements": f"requirements.lock, SHA-256 {software.lock_sha256}",
        },
    )
    crate.add_action(
        tool,
        identifier="#run",
        object=inputs,
        result=outputs,
        properties={
            "name": "Run of flowmrd",
            "endTime": run.ended,
            **({"startTime": run.started} if run.started else {}),
            **({"description": run.command} if run.command else {}),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    write_json(run_directory / CRATE, crate.metadata.generate())


def _entity(crate: ROCrate, identifier: str, properties: Mapping[str, object]) -> Any:
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties=properties))


def _file(crate: ROCrate, name: str, facts: DigestEntry | None) -> Any:
    properties: dict[str, object] = {"name": Path(name).name}
    if facts is not None:
        properties.update(sha256=facts.sha256, contentSize=str(facts.bytes))
    if kind := MEDIA_TYPES.get(Path(name).suffix):
        properties["encodingFormat"] = kind
    return crate.add_file(dest_path=name, properties=properties)
