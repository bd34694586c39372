"""Results for other systems: FHIR bundles for hospital systems, tables for laboratory systems and spreadsheets."""
