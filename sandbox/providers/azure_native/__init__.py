"""The azure-native plugin's package; `sandbox.providers.cloud` is the code."""
