"""redis-image-cache: a Redis Cluster for images, from a short stack config."""

import pulumi

from components.resources.arguments import RedisImageCacheClusterArgs
from components.resources.cluster import RedisImageCacheCluster
from components.resources.stack import discovery_addresses, headline, kubernetes_provider, read_stack

settings, advice = read_stack()

cache = RedisImageCacheCluster(
    "images",
    RedisImageCacheClusterArgs(settings),
    pulumi.ResourceOptions(providers=[kubernetes_provider(settings)]),
)

pulumi.export("endpoint", cache.endpoint)
pulumi.export("user", cache.user)
pulumi.export("connection", cache.connection)
pulumi.export("discoveryAddresses", discovery_addresses(settings, advice))
pulumi.export("plan", headline(advice))
