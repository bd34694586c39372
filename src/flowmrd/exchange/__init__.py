"""Results for other systems: FHIR for the hospital's."""
