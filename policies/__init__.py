"""The policy pack: `pulumi preview --policy-pack policies`, and the same rules offline in `fleet policies`."""
