"""Facts about clouds and hardware, as data: every row says where it was read and when.

Nothing here computes a plan or talks to a cloud; `fleet.contract`, `fleet.checks` and the report do.
"""
