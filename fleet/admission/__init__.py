"""Rules about accelerators that a cluster's API server holds pods to, as CEL. Pure data: `infra.kubernetes.admission` installs
them. https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""
