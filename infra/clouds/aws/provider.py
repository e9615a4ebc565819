"""The AWS provider of one cluster: its region, and ownership tags on whatever it makes.

Takes no credentials: those come from the environment, as OIDC in CI and SSO on a desk put them there.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.clouds.base import ProviderArgs


def provider(name: str, args: ProviderArgs, opts: pulumi.ResourceOptions | None = None) -> pulumi.ProviderResource:
    """A provider whose default tags reach all but ASGs and what a launch template starts; the pools tag those.

    https://www.pulumi.com/registry/packages/aws/api-docs/provider/
    """
    made: pulumi.ProviderResource = aws.Provider(
        name, region=args.region, default_tags=aws.ProviderDefaultTagsArgs(tags=args.tags), opts=opts
    )
    return made
