"""The azure-native provider of one cluster. Owns no credential: OIDC, a managed identity or `az login` bring it."""

from __future__ import annotations

import pulumi
import pulumi_azure_native as azure_native

from infra.clouds.base import ProviderArgs


def provider(name: str, args: ProviderArgs, opts: pulumi.ResourceOptions) -> pulumi.ProviderResource:
    """A provider bound to one subscription and region.

    Azure has no default tags, so `args.tags` stays with the components. Without `args.account` the subscription is
    the credentials' own (`ARM_SUBSCRIPTION_ID` or `az account show`).
    """
    made: pulumi.ProviderResource = azure_native.Provider(name, subscription_id=args.account, location=args.region, opts=opts)
    return made
