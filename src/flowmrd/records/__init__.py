"""A typed model of every JSON artefact: what a file holds, checked when it is written and when it is read.

One file an artefact: ``ingest``, ``quality`` (qc.json), ``gates`` (of a tube), ``references`` (gates, scales and normal
reference of a panel, phenotype of a patient), ``classification``, ``run`` (manifest, provenance, failure of a stage),
``validation``, ``monitoring``, ``simulation``, ``selftest``.
``mrd.json`` is :class:`flowmrd.mrd.result.MrdResult`, ``trial.json`` :class:`flowmrd.trial.result.TrialResult`.
``python -m flowmrd.cli.generated`` writes a JSON schema of each below ``workflow/schemas``.

A stage that adds a field to its file adds it to the model; :func:`flowmrd.records.read.checked` refuses it otherwise.
"""
