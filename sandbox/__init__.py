"""The local cloud: the real engine and real Kubernetes run a stack on a laptop, with no account, GPU or Docker.

`toolchain` brings the programs, `cloud` is the daemon that plays the three clouds, `providers` are the plugins the
engine talks to, `cluster` makes pools into nodes. Nothing of `infra` is imported here: the sandbox sees only what a
cloud would see.
"""
