"""redis-image-cache: a Redis Cluster for images, from a short stack config."""

import pulumi

from components.resources.arguments import RedisImageCacheClusterArgs
from components.resources.cluster import RedisImageCacheCluster
from components.resources.stack import discovery_addresses, headline, kubernetes_provider, read_stack
from components.resources.vpc_cni import with_cni_role

settings, advice = read_stack()

provider = kubernetes_provider(settings)
cache = RedisImageCacheCluster(
    "images",
    RedisImageCacheClusterArgs(with_cni_role(settings)),
    pulumi.ResourceOptions(providers=[provider]),
)

pulumi.export("endpoint", cache.endpoint)
pulumi.export("user", cache.user)
pulumi.export("connection", cache.connection)
pulumi.export("discoveryAddresses", discovery_addresses(settings, advice))
pulumi.export("plan", headline(advice))
