from cdk8s import ApiObjectMetadata, Chart, Size
from cdk8s_plus_33 import (
    ConfigMap,
    ContainerProps,
    ContainerResources,
    ContainerSecurityContextProps,
    Cpu,
    CpuResources,
    Deployment,
    MemoryResources,
    Probe,
    ServicePort,
    Volume,
)
from constructs import Construct


class Greeter(Chart):
    """A web server that shows one page."""

    def __init__(self, scope: Construct, id: str, *, namespace: str, message: str, replicas: int) -> None:
        super().__init__(scope, id, namespace=namespace, labels={"app.kubernetes.io/name": id})

        page = ConfigMap(
            self,
            "page",
            metadata=ApiObjectMetadata(name="greeter-page"),
            data={"index.html": f"<!doctype html>\n<title>greeter</title>\n<h1>{message}</h1>\n"},
        )
        deployment = Deployment(
            self,
            "deployment",
            metadata=ApiObjectMetadata(name="greeter"),
            replicas=replicas,
            containers=[web_server()],
        )
        container = deployment.containers[0]
        container.mount("/usr/share/nginx/html", Volume.from_config_map(self, "html", page), read_only=True)
        container.mount("/tmp", Volume.from_empty_dir(self, "tmp", "tmp"))
        deployment.expose_via_service(name="greeter", ports=[ServicePort(port=80, target_port=8080)])


def web_server() -> ContainerProps:
    return ContainerProps(
        image="nginxinc/nginx-unprivileged:1.29-alpine",
        port_number=8080,
        readiness=Probe.from_http_get("/"),
        security_context=ContainerSecurityContextProps(user=101, group=101),
        resources=ContainerResources(
            cpu=CpuResources(request=Cpu.millis(10), limit=Cpu.millis(100)),
            memory=MemoryResources(request=Size.mebibytes(16), limit=Size.mebibytes(64)),
        ),
    )
