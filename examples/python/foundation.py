from cdk8s import ApiObjectMetadata, Chart, Include
from cdk8s_plus_33 import Namespace
from constructs import Construct

from imports.com.example.ops import MaintenanceWindow, MaintenanceWindowSpec


class Foundation(Chart):
    """What has to be there before the application: its namespace, and the hours in which its pods may be restarted."""

    def __init__(self, scope: Construct, id: str, *, namespace: str) -> None:
        super().__init__(scope, id)

        Namespace(self, "namespace", metadata=ApiObjectMetadata(name=namespace))
        Include(self, "crd", url="crds/maintenancewindow.yaml")
        MaintenanceWindow(
            self,
            "maintenance",
            metadata=ApiObjectMetadata(name="nightly", namespace=namespace),
            spec=MaintenanceWindowSpec(schedule="0 3 * * *", duration="2h", time_zone="Europe/Berlin"),
        )
