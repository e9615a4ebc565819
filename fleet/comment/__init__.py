"""`fleet comment`: one sticky comment on a pull or merge request for all stacks."""
