"""A new model's source from what a trace shows of a device: accesses, then what follows from them, then text."""

from .descriptions import Described
from .inference import Inference, infer_device
from .observation import Observation, observe_device, observe_range
from .plan import module_name
from .source import Writer

__all__ = [
    "Described",
    "Inference",
    "Observation",
    "Writer",
    "infer_device",
    "module_name",
    "observe_device",
    "observe_range",
]
