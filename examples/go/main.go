// The greeter: a namespace with a maintenance window, and the page that the application shows.
package main

import (
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdk8s-team/cdk8s-core-go/cdk8s/v2"
)

const namespace = "greeter"

func main() {
	defer jsii.Close()

	app := cdk8s.NewApp(nil)
	newFoundation(app, "foundation")
	newGreeter(app, "greeter", "Hello from cdk8s")
	app.Synth()
}

// newFoundation makes what has to be there before the application: its namespace, and when its pods may be restarted.
func newFoundation(scope constructs.Construct, id string) cdk8s.Chart {
	chart := cdk8s.NewChart(scope, jsii.String(id), nil)

	newObject(chart, "namespace", "v1", "Namespace", &cdk8s.ApiObjectMetadata{Name: jsii.String(namespace)})
	cdk8s.NewInclude(chart, jsii.String("crd"), &cdk8s.IncludeProps{Url: jsii.String("crds/maintenancewindow.yaml")})
	newObject(chart, "maintenance", "ops.example.com/v1", "MaintenanceWindow", &cdk8s.ApiObjectMetadata{
		Name:      jsii.String("nightly"),
		Namespace: jsii.String(namespace),
	}).AddJsonPatch(cdk8s.JsonPatch_Add(jsii.String("/spec"), map[string]string{
		"schedule": "0 3 * * *",
		"duration": "2h",
		"timeZone": "Europe/Berlin",
	}))
	return chart
}

// newGreeter makes the page.
func newGreeter(scope constructs.Construct, id, message string) cdk8s.Chart {
	chart := cdk8s.NewChart(scope, jsii.String(id), &cdk8s.ChartProps{Namespace: jsii.String(namespace)})

	newObject(chart, "page", "v1", "ConfigMap", &cdk8s.ApiObjectMetadata{
		Name: jsii.String("greeter-page"),
	}).AddJsonPatch(cdk8s.JsonPatch_Add(jsii.String("/data"), map[string]string{
		"index.html": "<!doctype html>\n<title>greeter</title>\n<h1>" + message + "</h1>\n",
	}))
	return chart
}

func newObject(chart cdk8s.Chart, id, apiVersion, kind string, metadata *cdk8s.ApiObjectMetadata) cdk8s.ApiObject {
	return cdk8s.NewApiObject(chart, jsii.String(id), &cdk8s.ApiObjectProps{
		ApiVersion: jsii.String(apiVersion),
		Kind:       jsii.String(kind),
		Metadata:   metadata,
	})
}
