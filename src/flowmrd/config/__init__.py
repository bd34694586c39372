"""What a user may configure: the run configuration and the sample sheet."""

from flowmrd.config.load import load_config
from flowmrd.config.run import ReferenceConfig, RunConfig
from flowmrd.config.sheet import PriorTherapy, Role, Sample, read_sheet

__all__ = ["PriorTherapy", "ReferenceConfig", "Role", "RunConfig", "Sample", "load_config", "read_sheet"]
