"""What gets provisioned: Pulumi components over the facts of `fleet`. `fleet` never imports this package."""
