"""Everything aws-dev loads, and no resource."""

import infra.platform
from fleet.catalog.clouds import Cloud

infra.platform.kit(Cloud.AWS)
