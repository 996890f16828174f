"""Where a Prefect server keeps concurrency leases: on disk, and longer than Prefect's runs ask for.

A server takes this module by `PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=deployments.leases`.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from prefect.server.concurrency.lease_storage import ConcurrencyLimitLeaseMetadata, filesystem
from prefect.server.utilities.leasing import ResourceLease

GRACE: Final = timedelta(minutes=10)
"""How much longer a lease holds. Also how long a silent run counts as alive, see automations.yaml.

A run asks for five minutes, and renews its lease when 75 seconds are left. A server that was
unreachable for longer would revoke the lease before the run can renew it, and Prefect ends a run
that lost its lease. Runs wait eight minutes for a server.
"""


class ConcurrencyLeaseStorage(filesystem.ConcurrencyLeaseStorage):
    """Prefect's leases on disk, each of which holds longer by `GRACE`."""

    async def create_lease(
        self,
        resource_ids: list[UUID],
        ttl: timedelta,
        metadata: ConcurrencyLimitLeaseMetadata | None = None,
    ) -> ResourceLease[ConcurrencyLimitLeaseMetadata]:
        """Make a lease that ends `ttl` and `GRACE` from now, as Prefect's server asks."""
        return await super().create_lease(resource_ids, ttl + GRACE, metadata)

    async def renew_lease(self, lease_id: UUID, ttl: timedelta) -> bool:
        """Let a lease end `ttl` and `GRACE` from now; return whether there is one."""
        return await super().renew_lease(lease_id, ttl + GRACE)
