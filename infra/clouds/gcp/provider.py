"""The GCP provider of one cluster: its project and region, and ownership labels on whatever it makes.

Takes no credentials: those come from the environment, as workload identity federation in CI and gcloud on a desk put
them there.
"""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp

from infra.clouds.base import ProviderArgs


def provider(name: str, args: ProviderArgs, opts: pulumi.ResourceOptions | None = None) -> pulumi.ProviderResource:
    """A provider with default labels; https://www.pulumi.com/registry/packages/gcp/api-docs/provider/

    Raises:
        ValueError: the stack's settings name no project.
    """
    if args.account is None:
        raise ValueError("no GCP project: run `pulumi config set gcp:project <project>` for this stack")
    made: pulumi.ProviderResource = gcp.Provider(
        name, project=args.account, region=args.region, default_labels=args.tags, opts=opts
    )
    return made
