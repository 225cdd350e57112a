"""Another Pulumi program that makes its own EKS cluster and puts the cache into it.

It needs nothing of this project but the package `components`: no `Pulumi.yaml` and no stack config. Where the program
has an output (the cluster's name, a subnet, the nodes' role) it hands the output over; every other key is the same as
in a stack's config (docs/config.md) and has the same default.
"""

import json

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components.resources.arguments import RedisImageCacheClusterArgs
from components.resources.cluster import RedisImageCacheCluster

ZONES = ("eu-west-1a", "eu-west-1b", "eu-west-1c")

network = aws.ec2.Vpc("shop", cidr_block="10.20.0.0/16")
subnets = {
    zone: aws.ec2.Subnet(f"shop-{zone}", vpc_id=network.id, cidr_block=f"10.20.{number}.0/24", availability_zone=zone)
    for number, zone in enumerate(ZONES)
}


def role(name: str, service: str) -> aws.iam.Role:
    """A role that one service of AWS may take."""
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return aws.iam.Role(name, assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))


cluster = aws.eks.Cluster(
    "shop",
    role_arn=role("shop-control-plane", "eks.amazonaws.com").arn,
    vpc_config=aws.eks.ClusterVpcConfigArgs(subnet_ids=[subnet.id for subnet in subnets.values()]),
)
kubeconfig = pulumi.Output.json_dumps(
    {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "shop",
        "contexts": [{"name": "shop", "context": {"cluster": "shop", "user": "aws"}}],
        "clusters": [
            {
                "name": "shop",
                "cluster": {
                    "server": cluster.endpoint,
                    "certificate-authority-data": cluster.certificate_authority.data,
                },
            }
        ],
        "users": [
            {
                "name": "aws",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "aws",
                        "args": ["eks", "get-token", "--cluster-name", cluster.name],
                    }
                },
            }
        ],
    }
)

cache = RedisImageCacheCluster(
    "thumbnails",
    RedisImageCacheClusterArgs.of(
        {
            "podMemory": "32GB",
            "totalMemory": "256GB",
            "workload": {"requestsPerSecond": 2000, "objectBytes": 400_000},
            "access": {"allowFromPods": ["shop/app=thumbnails"]},
            "tls": {"mode": "required"},
            # Nobody has looked at what the tags name in your registry: docs/security.md, "Pin the images".
            "images": {"tagsBecause": "this is an example"},
            "eks": {
                "clusterName": cluster.name,
                "subnets": {zone: subnet.id for zone, subnet in subnets.items()},
                "nodeRoleArn": role("shop-nodes", "ec2.amazonaws.com").arn,
            },
        }
    ),
    pulumi.ResourceOptions(
        providers=[
            # A renewed certificate is written into its Secret, which the provider would otherwise delete and make anew.
            k8s.Provider("shop", kubeconfig=kubeconfig, cluster_identifier=cluster.arn, enable_secret_mutable=True)
        ]
    ),
)

# An application is given the address and its user, and reads the password from the Secret.
pulumi.export("endpoint", cache.endpoint)
pulumi.export("user", cache.user)
pulumi.export("passwordSecret", pulumi.Output.concat(cache.namespace, "/", cache.auth_secret))
pulumi.export("nodeGroups", cache.node_group_names)
