from cdk8s import App

from foundation import Foundation
from greeter import Greeter

NAMESPACE = "greeter"

app = App()
Foundation(app, "foundation", namespace=NAMESPACE)
Greeter(app, "greeter", namespace=NAMESPACE, message="Hello from cdk8s", replicas=2)
app.synth()
