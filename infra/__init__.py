"""What gets provisioned: Pulumi components over the facts of `fleet`. `fleet` never imports this package."""

from infra import lazy_sdk

lazy_sdk.install()
