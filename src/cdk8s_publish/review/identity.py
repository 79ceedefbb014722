"""When two documents describe the same object, as kustomize and the API server see it.

An object is known by group, kind, namespace and name, whatever its version. Kinds of the cluster have no namespace,
even where a document names one; everything else that names none is in `default` (kustomize 5.8,
`ResId.EffectiveNamespace`).
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cdk8s_publish.model import Manifest, ResourceId

    Scopes = Mapping[tuple[str, str], bool]
    """Whether objects are in namespaces, by the group and the kind of custom resources."""

DEFAULT_NAMESPACE = "default"

BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
"""API groups of Kubernetes itself: their kinds that are not listed below are in namespaces."""

CLUSTER_KINDS = frozenset(
    {
        ("", "ComponentStatus"),
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("authentication.k8s.io", "SelfSubjectReview"),
        ("authentication.k8s.io", "TokenReview"),
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"),
        ("authorization.k8s.io", "SubjectAccessReview"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("certificates.k8s.io", "ClusterTrustBundle"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("internal.apiserver.k8s.io", "StorageVersion"),
        ("networking.k8s.io", "IPAddress"),
        ("networking.k8s.io", "IngressClass"),
        ("networking.k8s.io", "ServiceCIDR"),
        ("node.k8s.io", "RuntimeClass"),
        ("policy", "PodSecurityPolicy"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("resource.k8s.io", "DeviceClass"),
        ("resource.k8s.io", "DeviceTaintRule"),
        ("resource.k8s.io", "ResourcePoolStatusRequest"),
        ("resource.k8s.io", "ResourceSlice"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
        ("storage.k8s.io", "VolumeAttributesClass"),
        ("storagemigration.k8s.io", "StorageVersionMigration"),
    }
)
"""Group and kind of the built-in objects that are in no namespace (`+genclient:nonNamespaced` in k8s.io/api 0.36, and
what it used to hold)."""

NO_SCOPES: Scopes = MappingProxyType({})


def scopes(manifests: Iterable[Manifest]) -> Scopes:
    """Return the scopes of the custom kinds that these manifests define."""
    kinds = [manifest.defines for manifest in manifests if manifest.defines]
    return {(kind.group, kind.kind): kind.is_namespaced for kind in kinds}


def is_namespaced(resource: ResourceId, custom: Scopes = NO_SCOPES) -> bool | None:
    """Return whether objects of this kind are in namespaces; None for a custom kind that nothing here defines."""
    kind = (resource.group, resource.kind)
    if kind in CLUSTER_KINDS:
        return False
    if resource.group in BUILT_IN_GROUPS:
        return True
    return custom.get(kind)


def identify(resource: ResourceId, custom: Scopes = NO_SCOPES) -> ResourceId:
    """Return the same value for every way to write down one object."""
    if is_namespaced(resource, custom) is False:
        return resource._replace(namespace="") if resource.namespace else resource
    return resource if resource.namespace else resource._replace(namespace=DEFAULT_NAMESPACE)


def by_identity(manifests: Iterable[Manifest], custom: Scopes = NO_SCOPES) -> dict[ResourceId, list[Manifest]]:
    """Return the documents of each object, in their order; an object that none is about has an empty list."""
    found: dict[ResourceId, list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        found[identify(manifest.resource, custom)].append(manifest)
    return found
