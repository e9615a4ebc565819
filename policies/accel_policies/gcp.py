"""Rules about Google Cloud: GKE, IAM, networks, Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.compatibility import kubernetes_minors
from policies.accel_policies.networks import anywhere, reaches_admin, span
from policies.accel_policies.rule import Found, FoundAt, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View

rules = Rules("gcp")
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"
FIREWALL = "gcp:compute/firewall:Firewall"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
NAT = "gcp:compute/routerNat:RouterNat"
BUCKET = "gcp:storage/bucket:Bucket"
MEMBERS = (
    "gcp:projects/iAMMember:IAMMember",
    "gcp:projects/iAMBinding:IAMBinding",
    "gcp:storage/bucketIAMMember:BucketIAMMember",
    "gcp:storage/bucketIAMBinding:BucketIAMBinding",
    "gcp:serviceaccount/iAMMember:IAMMember",
)
PROJECT_MEMBERS = MEMBERS[:2]
KEY = "gcp:serviceaccount/key:Key"
FEDERATION = "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"


@rules.on(
    "gcp-gke-api-open",
    CRITICAL,
    CLUSTER,
    mend="list your networks in masterAuthorizedNetworksConfig, or set enablePrivateEndpoint",
    refs=("CIS GKE 5.6.3", "CKV_GCP_18", "CKV_GCP_20"),
)
def _api_open(it: View, _: Settings) -> Iterator[Found]:
    """The Kubernetes API answers named networks only.

    An API open to everybody makes any leaked token a way in, from anywhere.
    """
    if it("privateClusterConfig.enablePrivateEndpoint", False):
        return
    path = "masterAuthorizedNetworksConfig"
    if it(path) is None:
        yield path, None
    elif found := anywhere(block("cidrBlock") for block in it.maps(f"{path}.cidrBlocks")):
        yield f"{path}.cidrBlocks", found


rules.demand(
    "gcp-gke-secrets-kms",
    HIGH,
    CLUSTER,
    "databaseEncryption.state",
    lambda state: state == "ENCRYPTED",
    what="Kubernetes secrets are encrypted with a key of your own.",
    why="Without, whoever reads a backup of etcd reads every secret.",
    mend="set databaseEncryption with state: ENCRYPTED and your key",
    refs=("CIS GKE 5.3.1",),
)


@rules.on(
    "gcp-gke-logs",
    MEDIUM,
    CLUSTER,
    mend="leave loggingService out, and name SYSTEM_COMPONENTS in loggingConfig",
    refs=("CIS GKE 5.7.1", "CKV_GCP_1"),
)
def _logs(it: View, _: Settings) -> Iterator[Found]:
    """The cluster logs what its own parts do.

    Who did what after an intrusion stands in the log, or nowhere.
    """
    if it("loggingService") == "none":
        yield "loggingService", "none"
    elif "SYSTEM_COMPONENTS" not in it("loggingConfig.enableComponents", ["SYSTEM_COMPONENTS"]):
        yield "loggingConfig.enableComponents", it("loggingConfig.enableComponents")


@rules.on(
    "gcp-gke-network-policy",
    HIGH,
    CLUSTER,
    mend="set datapathProvider: ADVANCED_DATAPATH",
    refs=("CIS GKE 5.6.7", "CKV_GCP_12"),
)
def _network_policy(it: View, _: Settings) -> Iterator[Found]:
    """Network policies are enforced.

    Else the API takes them, and nothing follows.
    """
    if it("datapathProvider") != "ADVANCED_DATAPATH" and not it("networkPolicy.enabled", False):
        yield "datapathProvider", it("datapathProvider")


rules.demand(
    "gcp-gke-workload-identity",
    HIGH,
    CLUSTER,
    "workloadIdentityConfig.workloadPool",
    bool,
    what="Pods get rights of their own, not those of their node.",
    why="What a node may do every pod on it may do, the one that was broken into, too.",
    mend="set workloadIdentityConfig.workloadPool: <project>.svc.id.goog",
    refs=("CIS GKE 5.2.2", "CKV_GCP_69"),
)
rules.demand(
    "gcp-node-metadata",
    HIGH,
    NODE_POOL,
    "nodeConfig.workloadMetadataConfig.mode",
    lambda mode: mode == "GKE_METADATA",
    what="Pods meet GKE's metadata server, not the machine's.",
    why="The machine's gives every pod the node's credentials.",
    mend="set nodeConfig.workloadMetadataConfig.mode: GKE_METADATA",
    refs=("CIS GKE 5.4.2", "CKV_GCP_69"),
)
rules.demand(
    "gcp-gke-version",
    HIGH,
    CLUSTER,
    "minMasterVersion",
    lambda minor: minor is None or ".".join(str(minor).split(".")[:2]) in kubernetes_minors(Cloud.GCP),
    what="Kubernetes is of a minor that GKE's regular channel has.",
    why="An old one gets no fixes.",
    mend="move to a minor of fleet/catalog/data/kubernetes.csv",
    refs=("CIS GKE 5.5.4",),
)
rules.demand(
    "gcp-gke-release-channel",
    MEDIUM,
    CLUSTER,
    "releaseChannel.channel",
    lambda channel: channel in ("RAPID", "REGULAR", "STABLE", "EXTENDED"),
    what="A release channel brings fixes by itself.",
    why="A cluster that somebody must remember to patch is not patched.",
    mend="set releaseChannel.channel: REGULAR",
    refs=("CIS GKE 5.5.4", "CKV_GCP_70"),
)
rules.demand(
    "gcp-node-integrity",
    MEDIUM,
    NODE_POOL,
    "nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring",
    lambda on: on is not False,
    what="Nodes' boot is measured.",
    why="A changed boot chain is else seen by nobody.",
    mend="leave enableIntegrityMonitoring on",
    refs=("CIS GKE 5.5.6", "CKV_GCP_72"),
)
rules.demand(
    "gcp-gke-shielded-nodes",
    MEDIUM,
    CLUSTER,
    "enableShieldedNodes",
    lambda on: on is not False,
    what="Nodes prove who they are when they join.",
    why="Else a stolen bootstrap credential makes a node.",
    mend="leave enableShieldedNodes on",
    refs=("CIS GKE 5.5.5", "CKV_GCP_71"),
)
rules.demand(
    "gcp-gke-private-nodes",
    HIGH,
    CLUSTER,
    "privateClusterConfig.enablePrivateNodes",
    lambda private: private is True,
    what="Nodes have no public address.",
    why="A node that the internet can reach is one forgotten rule away from being entered.",
    mend="set privateClusterConfig.enablePrivateNodes: true, with Cloud NAT for the way out",
    refs=("CIS GKE 5.6.5", "CKV_GCP_64"),
    unset=False,
)


@rules.on(
    "gcp-gke-legacy-login",
    HIGH,
    CLUSTER,
    mend="leave enableLegacyAbac and masterAuth.clientCertificateConfig out",
    refs=("CIS GKE 5.8.1", "CIS GKE 5.8.3", "CKV_GCP_7", "CKV_GCP_13"),
)
def _legacy(it: View, _: Settings) -> Iterator[Found]:
    """Nobody enters with a client certificate or by legacy rules.

    A certificate cannot be taken back, and the legacy rules let every service account do everything.
    """
    for path in ("enableLegacyAbac", "masterAuth.clientCertificateConfig.issueClientCertificate"):
        if it(path, False):
            yield path, it(path)


@rules.on(
    "gcp-node-account",
    HIGH,
    NODE_POOL,
    mend="make an account with roles/container.defaultNodeServiceAccount, and name it in nodeConfig.serviceAccount",
    refs=("CIS GKE 5.2.1",),
)
def _account(it: View, _: Settings) -> Iterator[Found]:
    """Nodes run as an account of their own.

    The project's default one may often edit the whole project.
    """
    account = it("nodeConfig.serviceAccount", "default")
    if account == "default" or str(account).endswith("-compute@developer.gserviceaccount.com"):
        yield "nodeConfig.serviceAccount", it("nodeConfig.serviceAccount")


@rules.on("gcp-private-nodes-way-out", HIGH, CLUSTER, mend="add a compute.RouterNat for the network", whole=True)
def _way_out(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Private nodes have a way to their images.

    Images from outside Google never come without one, and pods wait for ever.
    """
    if stack.of(SUBNETWORK) and not stack.of(NAT):
        for cluster in stack.of(CLUSTER):
            if cluster.view("privateClusterConfig.enablePrivateNodes", False):
                yield cluster, "privateClusterConfig.enablePrivateNodes", Told("true, with no NAT")


rules.demand(
    "gcp-iam-basic-role",
    CRITICAL,
    PROJECT_MEMBERS,
    "role",
    lambda role: role not in ("roles/owner", "roles/editor"),
    what="Nobody gets a basic role on the project.",
    why="Owner and editor hold thousands of rights, those to read every secret among them.",
    mend="give predefined roles for what is needed",
    refs=("CIS GCP 1.5", "CKV_GCP_49"),
)


@rules.on(
    "gcp-iam-public",
    CRITICAL,
    MEMBERS,
    mend="name members",
    refs=("CIS GCP 5.1", "CKV_GCP_28"),
)
def _public(it: View, _: Settings) -> Iterator[Found]:
    """Nothing is given to everybody.

    allAuthenticatedUsers is everybody with a Google account.
    """
    for member in [it("member"), *it("members", ())]:
        if member in ("allUsers", "allAuthenticatedUsers"):
            yield "member" if "member" in it else "members", member


rules.demand(
    "gcp-account-key",
    HIGH,
    KEY,
    "publicKeyData",
    bool,
    what="No service account's private key is made here.",
    why="It stands in the state, and works until somebody notices that it leaked.",
    mend="use Workload Identity, or federation for what runs elsewhere",
    refs=("CIS GCP 1.4", "CKV_GCP_41"),
)
rules.demand(
    "gcp-oidc-trust-bound",
    CRITICAL,
    FEDERATION,
    "attributeCondition",
    lambda condition: bool(condition) and condition != "true",
    what="Federation says whose tokens it takes.",
    why="Without a condition any repository at the same forge gets in.",
    mend='set attributeCondition, such as assertion.repository == "org/repo"',
    refs=("cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines",),
)


@rules.on(
    "gcp-firewall-open",
    CRITICAL,
    FIREWALL,
    mend="name the networks in sourceRanges",
    refs=("CIS GCP 3.6", "CIS GCP 3.7", "CKV_GCP_2", "CKV_GCP_3"),
)
def _firewall(it: View, _: Settings) -> Iterator[Found]:
    """No firewall lets the whole internet at shells, desktops or everything.

    Such ports are tried within minutes of being opened.
    """
    found = anywhere(it("sourceRanges", ()))
    if found is None or it("direction", "INGRESS") != "INGRESS":
        return
    for allowed in it.maps("allows"):
        ports = list(allowed("ports", ["*"]))
        if allowed("protocol") in ("tcp", "all") and any(reaches_admin(*span(port)) for port in ports):
            yield "sourceRanges", found
            return


rules.demand(
    "gcp-subnet-flow-logs",
    MEDIUM,
    SUBNETWORK,
    "logConfig",
    lambda config: config is not None,
    what="In production a network logs who spoke to whom.",
    why="Without, nobody can tell afterwards where data went.",
    mend="set logConfig on the subnetwork",
    refs=("CIS GCP 3.8", "CKV_GCP_26"),
    only="prod",
)
rules.demand(
    "gcp-bucket-public",
    CRITICAL,
    BUCKET,
    "publicAccessPrevention",
    lambda prevention: prevention == "enforced",
    what="Buckets cannot be made public.",
    why="Weights are what the company trained for months, and one wrong binding publishes them.",
    mend="set publicAccessPrevention: enforced",
    refs=("CIS GCP 5.1", "CKV_GCP_114"),
)
rules.demand(
    "gcp-bucket-uniform",
    MEDIUM,
    BUCKET,
    "uniformBucketLevelAccess",
    lambda uniform: uniform is True,
    what="A bucket's rights are said in one place.",
    why="Lists on single objects are seen by nobody who reads the bucket's.",
    mend="set uniformBucketLevelAccess: true",
    refs=("CIS GCP 5.2", "CKV_GCP_29"),
    unset=False,
)
rules.demand(
    "gcp-bucket-versioned",
    MEDIUM,
    BUCKET,
    "versioning.enabled",
    lambda on: on is True,
    what="Model stores keep replaced versions.",
    why="A wrong upload over good weights is undone by one command, or not at all.",
    mend="set versioning.enabled: true, with a lifecycle rule for the old ones",
    refs=("CKV_GCP_78",),
    unset=False,
)
rules.demand(
    "gcp-bucket-own-key",
    MEDIUM,
    BUCKET,
    "encryption.defaultKmsKeyName",
    bool,
    what="In production buckets are encrypted with a key of your own.",
    why="Who may read is then said in two places, and taking the key away ends all of it.",
    mend="set encryption.defaultKmsKeyName, or waive it for weights that are public",
    refs=("CIS GCP 7.3",),
    only="prod",
)
rules.demand(
    "gcp-gke-protected",
    MEDIUM,
    CLUSTER,
    "deletionProtection",
    lambda protected: protected is not False,
    what="In production a cluster cannot be deleted by a slip.",
    why="A changed name in a file is else the end of everything that runs there.",
    mend="set deletionProtection: true",
    only="prod",
)
