"""What a fleet of accelerators is, costs and needs: pure Python, no provider SDK, nothing of `infra`."""
