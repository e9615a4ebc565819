"""The aws plugin's package; `sandbox.providers.cloud` is the code."""
