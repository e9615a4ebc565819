"""Registers names and values that a terminal, a forge or a browser would obey, if a report showed them as they are."""

import json
import sys

EVIL = "\x1b[2J\x1b]0;owned\x07\n::error::owned\n##[add-mask]x ![x](https://evil.test) <script>alert(1)</script> @everyone | a"
URN = "urn:pulumi:dev::shop::aws:eks/cluster:Cluster::"
row = {"type": "aws:eks/cluster:Cluster", "custom": True, "parent": "", "dependencies": []}
# A name as long as a name may be, and a value that a policy quotes.
name = EVIL.replace("\x1b", "").replace("\x07", "").replace("\n", " ")
value = {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0", EVIL]}}
sys.stdout.write(json.dumps([{**row, "urn": URN + name, "inputs": value}]))
