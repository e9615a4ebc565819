"""VM sizes that AKS's node auto-provisioning makes with NVIDIA's driver on Ubuntu; it makes no other GPU machine.

The provider's own list, without sizes that Azure has retired or announced to retire: Azure/karpenter-provider-azure@021c778a,
pkg/utils/supported-gpus.yaml, read 2026-11-29. One that the catalogue has and this list lacks is a machine for groups.
"""

from __future__ import annotations

_SIZES = """
NC4as_T4_v3 NC8as_T4_v3 NC16as_T4_v3 NC64as_T4_v3
NC8ads_A10_v4 NC16ads_A10_v4 NC32ads_A10_v4
NV6ads_A10_v5 NV12ads_A10_v5 NV18ads_A10_v5 NV36ads_A10_v5 NV36adms_A10_v5 NV72ads_A10_v5
NC24ads_A100_v4 NC48ads_A100_v4 NC96ads_A100_v4 ND96asr_v4 ND96ams_A100_v4 ND96amsr_A100_v4
NC40ads_H100_v5 NC80adis_H100_v5 ND96is_H100_v5 ND96isr_H100_v5 ND96isf_H100_v5 ND96isrf_H100_v5
ND96is_H200_v5 ND96isr_H200_v5 ND96isf_H200_v5 ND96isrf_H200_v5
ND128isr_NDR_GB200_v6 ND128isr_GB300_v6
NC128lds_xl_RTXPRO6000BSE_v6 NC256lds_xl_RTXPRO6000BSE_v6 NC320lds_xl_RTXPRO6000BSE_v6
"""
SIZES = frozenset(f"standard_{size}".lower() for size in _SIZES.split())


def makes(machine: str) -> bool:
    """Whether a machine of that type comes by itself, in any spelling: Azure looks at no capitals."""
    return machine.lower() in SIZES
