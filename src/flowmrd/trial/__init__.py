"""Clinical endpoints of a trial: response, MRD, survival and safety, from clinical tables and the tubes' results."""
