"""What the machine is doing: GPUs through NVML, host CPU and memory, read by one sampler per server.

Importing this costs next to nothing: pynvml and psutil are loaded by the first reading, off the loop.
"""

from .gpu_processes import GpuProcess
from .gpus import Gpu, GpuReader
from .host import Host, HostReader
from .mask import visible
from .sample import Sample
from .sampler import Sampler

__all__ = ["Gpu", "GpuProcess", "GpuReader", "Host", "HostReader", "Sample", "Sampler", "visible"]
