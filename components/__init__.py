"""RedisImageCacheCluster: a Redis Cluster for images on EKS, derived from a short stack config."""
