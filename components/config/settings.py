"""What a stack's config may say: one frozen pydantic tree, every key with its default, its rule and its meaning.

Pulumi.yaml declares the same keys, types, defaults and descriptions, because `pulumi config` shows them from there;
a test holds the two equal. docs/config.md and the editors' schema are generated from this module.

The words that some keys take are in `components.config.choices`, the types that several have in
`components.config.value_types`. Settings are made by `components.config.load`, which also asks the rules between keys
and reports every error at once.

It is long because every key has its meaning beside it, and all keys are one tree that is read from top to bottom.
"""

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    WithJsonSchema,
    field_validator,
)
from pydantic.alias_generators import to_camel

from components.config.choices import (
    Architecture,
    CapacityType,
    ClientCertificates,
    CniRole,
    DefaultUser,
    MoveMode,
    NodeEndpoint,
    Packing,
    Placement,
    PolicyEnforcer,
    Prometheus,
    TlsMode,
)
from components.config.engines import EXAMPLE, Server, server_of
from components.config.images import REGISTRY_PATTERN, ImageName, fetched_from, is_pinned
from components.config.units import GIB, MIB, TIB
from components.config.value_types import (
    NAME_PATTERN,
    POD_SELECTION_EXAMPLE,
    REASON_CHARACTERS_MAX,
    REASON_CHARACTERS_MIN,
    SERVICE_AND_PORT_PATTERN,
    SUBNET_PREFIX,
    Namespaces,
    PodSelections,
    Reason,
    SecretNames,
    SizeBytes,
    can_be_carried,
    every_zone_has_a_subnet,
    tags_of_the_stack,
)
from components.config.zones import ZONE_PATTERN


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=False, validate_by_alias=True
    )

    @classmethod
    def defaults(cls) -> Self:
        """The section where a stack's config says nothing of it."""
        return cls.model_validate({})


REQUESTS_PER_SECOND_MAX = 20_000_000
"""A master's one core answers 37,000 of the smallest images a second (components/plan/core_costs.csv), and a Redis
Cluster has 500 masters; a test compares them."""
TTL_SECONDS_MAX = 365 * 24 * 3600
P95_LATENCY_MS_MAX = 60_000


class Workload(_Section):
    """What the cache serves. Defaults: the requirements the cluster was sized for."""

    requests_per_second: int = Field(
        8000,
        gt=0,
        le=REQUESTS_PER_SECOND_MAX,
        description="reads and writes together, at the peak; no more than the cores of 500 masters answer",
    )
    object_bytes: int = Field(
        1_000_000, gt=0, le=512 * MIB, description="bytes of one image; 512 MiB is the largest string of Redis"
    )
    ttl_seconds: int = Field(
        300,
        gt=0,
        le=TTL_SECONDS_MAX,
        description="seconds an image stays valid, up to a year: what must live longer belongs in a store, since a "
        "cache loses images with a shard",
    )
    hit_rate: float = Field(
        0.8,
        ge=0,
        lt=1,
        description="share of requests answered from the cache, 0 to less than 1: before its first hit an image was "
        "missed",
    )
    duty_cycle: float = Field(
        1.0,
        gt=0,
        le=1,
        description="mean rate over the whole month, of requestsPerSecond: what traffic and requests are billed for",
    )
    p95_latency_ms: int = Field(
        500,
        gt=0,
        le=P95_LATENCY_MS_MAX,
        description="milliseconds within which 95 % of requests must be answered, up to a minute: clients "
        "wait no longer",
    )


class Eks(_Section):
    """The EKS cluster the nodes join. It exists already and runs the EBS CSI driver."""

    cluster_name: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        examples=["images-prod"],
        description="name of the EKS cluster: letters a to z, digits, - and _; it begins with a letter or a digit",
    )
    subnets: Annotated[
        dict[
            Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{ZONE_PATTERN}$"})],
            Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{SUBNET_PREFIX}"})],
        ],
        BeforeValidator(every_zone_has_a_subnet),
    ] = Field(min_length=1, description="availability zone -> private subnet; a node group is made in each")
    node_role_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$",
        examples=["arn:aws:iam::123456789012:role/redis-nodes"],
        description="ARN of the IAM role of the nodes; absent = made here",
    )
    cni_role: CniRole = Field(
        CniRole.AUTO,
        description="whose rights the VPC CNI uses: own = those of its own role; node = those of the nodes' role, "
        "which is then given AmazonEKS_CNI_Policy where it is made here; auto = the add-on vpc-cni is asked. That "
        "policy knows IPv4 alone: in a cluster of IPv6 the add-on needs a role of its own",
    )
    node_kms_key_arn: str | None = Field(
        None,
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
        examples=["arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
        description="ARN of the KMS key of the nodes' root volumes, which are encrypted in any case; absent = AWS's "
        "own. The key's policy must let the role AWSServiceRoleForAutoScaling use it",
    )
    tags: Annotated[dict[str, str], AfterValidator(tags_of_the_stack)] = Field(
        default_factory=dict, description="AWS tags of all that is made; none begins with aws:, which is AWS's own"
    )


class Nodes(_Section):
    """The machines. Everything but a preference is derived."""

    instance_type: str = Field(
        "auto",
        min_length=1,
        description="auto = the cheapest EC2 type that holds the pods; a named type is checked by the same rules",
    )
    architecture: Architecture = Field(Architecture.ANY, description="processor of the nodes; any = the cheaper one")
    packing: Packing = Field(
        Packing.LIMITS, description="what of its pods must fit a node's memory: their limits, or their requests alone"
    )
    capacity_type: CapacityType = Field(
        CapacityType.ON_DEMAND, description="how nodes are bought; AWS takes spot nodes back at two minutes' notice"
    )
    production: bool = Field(
        True, description="false permits what may lose the cache: spot nodes, and copies of a shard on one node"
    )
    placement: Placement = Field(
        Placement.REQUIRED,
        description="required = a pod waits rather than share a node with a copy of its shard; preferred = it may",
    )
    transit_encryption: bool = Field(
        False,
        description="true takes only types whose network card encrypts what nodes send each other, and so not the "
        "cheap c6g, m6g, r6g, r6gd and x2gd. With tls.mode: required it adds nothing but a second layer",
    )
    allow_fewer_zones: bool = Field(False, description="true permits one or two zones, at the price of a zone outage")
    spare_per_zone: int = Field(
        0,
        ge=0,
        le=3,
        description="nodes of each zone beyond what its pods need, so that a lost or drained node's pods find a place "
        "at once (docs/adr/0017-a-drain-borrows-a-node.md)",
    )


GP3_IOPS_INCLUDED = 3000
GP3_MIB_PER_SECOND_INCLUDED = 125
"""What a gp3 volume does without a surcharge; AWS takes no smaller figure."""


class Storage(_Section):
    """The volumes. Nothing but nodes.conf is written to them."""

    size: SizeBytes | None = Field(None, description="size of a pod's volume; absent = the pod's memory request")
    iops: int | None = Field(
        None,
        ge=GP3_IOPS_INCLUDED,
        le=80_000,
        description=f"operations a second of a gp3 volume; absent = AWS's {GP3_IOPS_INCLUDED:,}",
    )
    throughput_mib_per_second: int | None = Field(
        None,
        ge=GP3_MIB_PER_SECOND_INCLUDED,
        le=2000,
        description=f"MiB a second of a gp3 volume; absent = AWS's {GP3_MIB_PER_SECOND_INCLUDED}",
    )
    kms_key_id: str | None = Field(None, min_length=1, description="KMS key of the volumes; absent = AWS's own")
    class_name: str | None = Field(
        None,
        min_length=1,
        description="an existing StorageClass; absent = fast-ssd is made (with eks) or the cluster's default is taken",
    )


class Monitoring(_Section):
    """What shows the cluster's state to Prometheus."""

    exporter: bool = Field(
        False,
        description="true adds a redis_exporter to every pod (port 9121), alert rules and a Grafana dashboard",
    )
    prometheus: Prometheus = Field(
        Prometheus.ANNOTATIONS,
        description="how a Prometheus learns of them: operator = a PodMonitor and a PrometheusRule, whose CRDs must be "
        "in the cluster; annotations = scrape annotations on the pods, and the rules as a file in a ConfigMap",
    )
    release: str = Field(
        "kube-prometheus-stack",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
        examples=["kube-prometheus-stack"],
        description="label `release` of the PodMonitor and the PrometheusRule, by which the operator's Prometheus "
        "selects them: the name of its Helm release",
    )
    runbook_url: str = Field(
        "docs/runbook.md",
        min_length=1,
        description="where people who are paged find docs/runbook.md; each alert links to its section there",
    )
    allow_from_namespaces: Namespaces = Field(
        ("monitoring",), description="namespaces whose pods may read the metrics: where Prometheus runs"
    )
    pushgateway: str | None = Field(
        None,
        pattern=SERVICE_AND_PORT_PATTERN,
        examples=["prometheus-pushgateway.monitoring:9091"],
        description="Prometheus Pushgateway that the Jobs tell what they do and what they wait for: its Service, a "
        "dot, its namespace, and the port, which its pods must have too; absent = they tell nobody",
    )

    @property
    def pushgateway_place(self) -> tuple[str, str, int] | None:
        """Service, namespace and port of the Pushgateway; None where there is none."""
        if self.pushgateway is None:
            return None
        where, _, port = self.pushgateway.partition(":")
        service, _, namespace = where.partition(".")
        return service, namespace, int(port)


class Access(_Section):
    """Who may talk to the cache."""

    password: SecretStr | None = Field(
        None, min_length=16, description="absent = a random one is made and kept in the stack's state"
    )
    also_accepted: SecretStr | None = Field(
        None,
        min_length=16,
        description="a second password that is accepted while the password is changed (docs/runbook.md)",
    )
    key_prefix: str = Field(
        "",
        max_length=200,
        pattern=r"^[A-Za-z0-9:_./{}-]*$",
        examples=["images:"],
        description="how the keys begin that applications may use (user app); empty = every key",
    )
    scripts: Reason = Field(
        None,
        min_length=REASON_CHARACTERS_MIN,
        max_length=REASON_CHARACTERS_MAX,
        description="why applications must run scripts and functions (EVAL, FCALL): each stops its master while it "
        "runs, and most faults of Redis by which clients run code of their own were in them. Absent = refused",
    )
    default_user: DefaultUser = Field(
        DefaultUser.REFUSED,
        description="clients that give a password without a user: refused; app = as the user app; everything = may do "
        "everything, as before there were users. Only to update such a cluster (docs/runbook.md)",
    )
    allow_from_namespaces: Namespaces = Field(
        (),
        description="namespaces whose pods may connect; production names some here or in allowFromPods, else both "
        "empty = whoever reaches the pods",
    )
    allow_from_pods: PodSelections = Field(
        (),
        examples=[POD_SELECTION_EXAMPLE],
        description="pods that may connect: a namespace, and the labels that the pods in it must have",
    )
    deliver_to: Namespaces = Field(
        (),
        description="namespaces that get a Secret redis-image-cache with address, port, user and password; they must "
        "exist",
    )
    policies_enforced_by: PolicyEnforcer = Field(
        PolicyEnforcer.AUTO,
        description="what makes the cluster's NetworkPolicies hold; auto = with eks its add-on vpc-cni is asked, "
        "nobody = the ports stand open to whoever reaches the pods",
    )
    node_endpoint: NodeEndpoint = Field(
        NodeEndpoint.HOSTNAME,
        description="how nodes are named to clients: hostname, or ip for clients without the cluster's DNS. With ip, "
        "some clients never connect again after all pods restarted (docs/adr/0015-nodes-are-named-to-clients.md)",
    )

    @field_validator("password", "also_accepted")
    @classmethod
    def _a_container_can_be_given_it(cls, password: SecretStr | None) -> SecretStr | None:
        return None if password is None else can_be_carried(password)


class Tls(_Section):
    """Whether connections are encrypted, and where the certificate comes from."""

    mode: TlsMode = Field(
        TlsMode.PLAIN,
        description="required = clients, replication and the cluster bus speak TLS alone, clients on port 6380; both = "
        "clients may use port 6379 without TLS too, which is the way from plain to required and back; plain = no TLS. "
        "Production says which",
    )
    plain_because: Reason = Field(
        None,
        min_length=REASON_CHARACTERS_MIN,
        max_length=REASON_CHARACTERS_MAX,
        description="why production goes without TLS, where mode is plain: who reads the network between the nodes "
        "reads images and passwords, and who reaches the cluster bus can take all slots",
    )
    issuer: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        max_length=253,
        examples=["redis-ca"],
        description="cert-manager issuer that signs the certificate of the pods. It must sign for this cache alone: "
        "whoever has a certificate of its authority can join the cluster. Absent, without secret too = the stack signs "
        "it with an authority of its own",
    )
    issuer_kind: str = Field(
        "ClusterIssuer", pattern=r"^[A-Z][A-Za-z0-9]{0,62}$", examples=["ClusterIssuer"], description="kind of it"
    )
    issuer_group: str = Field(
        "cert-manager.io", pattern=NAME_PATTERN, examples=["cert-manager.io"], description="API group of that kind"
    )
    secret: str | None = Field(
        None,
        pattern=NAME_PATTERN,
        max_length=253,
        examples=["images-redis-tls"],
        description="instead of an issuer: a Secret of type kubernetes.io/tls in the pool's namespace, with the keys "
        "tls.crt, tls.key and ca.crt, which somebody else puts there and renews",
    )
    authority: str | None = Field(
        None,
        description="with issuer or secret: the certificate of the authority, as PEM, for the namespaces of "
        "access.deliverTo; absent = applications get it elsewhere. The stack's own is delivered by itself",
    )
    client_certificates: ClientCertificates = Field(
        ClientCertificates.NONE,
        description="whether clients show a certificate of the same authority: none, optional or required",
    )

    @field_validator("authority")
    @classmethod
    def _is_a_certificate(cls, text: str | None) -> str | None:
        """Written anew: where a text of several lines went through YAML its lines may have become one, and not every
        client reads such a file."""
        # Only a stack that gives one waits for this import.
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509 import load_pem_x509_certificates

        if text is None:
            return None
        if "PRIVATE KEY" in text:
            raise ValueError(
                "it has a private key, which nobody but the authority may have; give the certificate alone"
            )
        try:
            found = load_pem_x509_certificates(text.encode())
        except ValueError as error:
            raise ValueError(
                "a certificate as PEM is needed, which begins with -----BEGIN CERTIFICATE-----, such as the key ca.crt "
                "of the certificate's Secret"
            ) from error
        return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)

    @property
    def own_authority(self) -> bool:
        """Whether the stack signs the certificate itself."""
        return self.mode.has_tls and self.issuer is None and self.secret is None


class Images(_Section):
    """Container images. All are used as published. In production each that runs is named with its digest."""

    redis: ImageName = Field(
        "redis:7.4-alpine",
        description="an official image of Redis or Valkey, from any registry; docs/engines.md has the versions",
    )
    redis_version: str = Field(
        "",
        examples=[EXAMPLE],
        description="engine and version of images.redis, where its name and tag do not say them; else empty",
    )
    python: ImageName = Field("python:3.13-alpine", description="runs the reconciler's Jobs")
    exporter: ImageName = Field(
        "oliver006/redis_exporter:v1.92.1",
        description="redis_exporter, which runs where monitoring.exporter is true",
    )
    registry: str = Field(
        "",
        max_length=200,
        pattern=rf"{REGISTRY_PATTERN}|^$",
        examples=["mirror.example.com/docker-hub"],
        description="a mirror of Docker Hub, from which images are fetched whose names begin with no host: redis as "
        "mirror/library/redis. Empty = Docker Hub itself",
    )
    pull_secrets: SecretNames = Field(
        (),
        examples=["registry-login"],
        description="Secrets of type kubernetes.io/dockerconfigjson in the pool's namespace, with which nodes log in "
        "to registries; somebody else puts them there. ECR needs none",
    )
    tags_because: Reason = Field(
        None,
        min_length=REASON_CHARACTERS_MIN,
        max_length=REASON_CHARACTERS_MAX,
        description="why production runs images without their digests: what a tag names may change, and a pod that "
        "restarts on another node then runs other bytes than the rest",
    )

    def without_digest(self, exporter: bool) -> dict[str, str]:
        """The images that run and are named by tag alone, by key; `exporter` says whether that one runs."""
        used = {"redis": self.redis, "python": self.python} | ({"exporter": self.exporter} if exporter else {})
        return {key: image for key, image in used.items() if not is_pinned(image)}

    def fetched(self, image: str) -> str:
        """The name under which a node fetches one of the images."""
        return fetched_from(self.registry, image)

    @property
    def server(self) -> Server:
        """What images.redis holds. Settings whose image is not accepted are refused, so this does not fail."""
        return server_of(self.redis, self.redis_version)


class Resize(_Section):
    """How slots move when podMemory or totalMemory changes."""

    mode: MoveMode = Field(
        MoveMode.AUTO,
        description="copy moves keys with their slots, expire moves ownership alone, auto takes the better one",
    )
    max_mib_per_second: int = Field(
        2000, gt=0, description="bound of the rate at which mode copy moves keys, over the whole cluster"
    )
    extra_misses_per_second: int = Field(400, gt=0, description="budget of misses that mode expire may add")


class Validation(_Section):
    """Whether an update ends with a load of images, and what that must meet."""

    enabled: bool = Field(
        False,
        description="true puts a load of images on the cache at the end of an update, and fails the update when the "
        "rate or the 95th percentile is missed. It comes on top of what applications send",
    )
    requests_per_second: int | None = Field(
        None,
        gt=0,
        le=REQUESTS_PER_SECOND_MAX,
        description="rate of the load; absent = a tenth of workload.requestsPerSecond",
    )
    seconds: int = Field(30, ge=5, le=300, description="how long the load lasts")
    p95_latency_ms: int | None = Field(
        None,
        gt=0,
        le=P95_LATENCY_MS_MAX,
        description="what 95 % of its requests must be answered within; absent = workload.p95LatencyMs",
    )


class Settings(_Section):
    """The whole stack config of namespace `redis-image-cache`."""

    pod_memory: SizeBytes = Field(
        default=64 * GIB,
        description="Redis memory of one pod. 64GB is 16+16 pods for 1TB, 128GB is 8+8; any other size works too",
    )
    total_memory: SizeBytes = Field(default=TIB, description="Redis memory of all masters together")
    pod_cpu_millicores: int = Field(
        default=1000,
        ge=50,
        le=1000,
        description="CPU request of a Redis container, in thousandths of a core. Less than a core is for small test "
        "clusters: it is all that a pod is sure of while its neighbours are busy",
    )
    replicas_per_master: int = Field(
        default=1, ge=1, le=3, description="Replicas of every shard's master, each in another zone"
    )
    kube_context: str = Field(
        default="", description="kubeconfig context of the cluster, only where eks is absent; empty with eks"
    )
    cluster_domain: str = Field(
        default="cluster.local",
        pattern=NAME_PATTERN,
        max_length=100,
        examples=["cluster.local"],
        description="DNS domain of the Kubernetes cluster: what stands behind .svc. in the names of its Services",
    )
    protect: bool = Field(
        default=False,
        description="true keeps `pulumi destroy` from deleting the clients' name of the cache and its password",
    )
    workload: Workload = Field(default_factory=Workload.defaults, description="What the cache serves")
    eks: Eks | None = Field(
        default=None,
        description="The EKS cluster the nodes join; absent = any Kubernetes cluster, and nothing of AWS is made",
    )
    nodes: Nodes = Field(default_factory=Nodes.defaults, description="The machines")
    storage: Storage = Field(default_factory=Storage.defaults, description="The volumes of the pods")
    monitoring: Monitoring = Field(default_factory=Monitoring.defaults, description="What Prometheus can read")
    access: Access = Field(default_factory=Access.defaults, description="Who may talk to the cache")
    tls: Tls = Field(
        default_factory=Tls.defaults,
        description="Whether connections are encrypted, and where the certificate comes from",
    )
    images: Images = Field(default_factory=Images.defaults, description="The container images")
    resize: Resize = Field(
        default_factory=Resize.defaults, description="How slots move when podMemory or totalMemory changes"
    )
    validation: Validation = Field(
        default_factory=Validation.defaults, description="A load of images at the end of an update"
    )

    @property
    def zones(self) -> tuple[str, ...]:
        """Availability zones of the node groups, in a stable order; empty without `eks`."""
        return tuple(sorted(self.eks.subnets)) if self.eks else ()

    @property
    def copies_per_shard(self) -> int:
        """Pods that hold the same shard: its master and its replicas."""
        return 1 + self.replicas_per_master
