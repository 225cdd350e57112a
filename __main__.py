"""redis-image-cache: a Redis Cluster for images, from a short stack config."""

import pulumi

from components.resources.cluster import RedisImageCacheCluster, RedisImageCacheClusterArgs
from components.resources.stack import discovery_addresses, headline, kubernetes_provider, read_stack

settings, plan = read_stack()

cache = RedisImageCacheCluster(
    "images",
    RedisImageCacheClusterArgs(settings, plan),
    pulumi.ResourceOptions(providers=[kubernetes_provider(settings)]),
)

pulumi.export("endpoint", cache.endpoint)
pulumi.export("discoveryAddresses", discovery_addresses(plan))
pulumi.export("plan", headline(plan))
