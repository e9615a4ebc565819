"""What stands already by Terraform's hand: its state read, and told in Pulumi's words."""
