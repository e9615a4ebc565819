"""A model server: the Open Inference Protocol v2 over HTTP and gRPC, dynamic batching, several runtimes behind one interface.

A package of its own, with its own pins (`serving/requirements.txt`): it runs inside pods and as the sandbox's stand-in
for them, and shares no module with `fleet`, `infra` or `sandbox`.
"""

__version__ = "0.1.0"
