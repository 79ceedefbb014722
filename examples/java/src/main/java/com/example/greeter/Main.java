package com.example.greeter;

import imports.com.example.ops.MaintenanceWindow;
import imports.com.example.ops.MaintenanceWindowSpec;
import java.util.Map;
import org.cdk8s.ApiObject;
import org.cdk8s.ApiObjectMetadata;
import org.cdk8s.ApiObjectProps;
import org.cdk8s.App;
import org.cdk8s.Chart;
import org.cdk8s.ChartProps;
import org.cdk8s.Include;
import org.cdk8s.JsonPatch;
import software.constructs.Construct;

public final class Main {
  private static final String NAMESPACE = "greeter";

  public static void main(String[] arguments) {
    App app = new App();
    new Foundation(app, "foundation");
    new Greeter(app, "greeter", "Hello from cdk8s");
    app.synth();
  }

  /** What has to be there before the application: its namespace, and when its pods may be restarted. */
  private static final class Foundation extends Chart {
    Foundation(Construct scope, String id) {
      super(scope, id);

      object(this, "namespace", "Namespace", NAMESPACE);
      Include.Builder.create(this, "crd").url("crds/maintenancewindow.yaml").build();
      MaintenanceWindow.Builder.create(this, "maintenance")
          .metadata(ApiObjectMetadata.builder().name("nightly").namespace(NAMESPACE).build())
          .spec(MaintenanceWindowSpec.builder()
              .schedule("0 3 * * *")
              .duration("2h")
              .timeZone("Europe/Berlin")
              .build())
          .build();
    }
  }

  /** The page that the application shows. */
  private static final class Greeter extends Chart {
    Greeter(Construct scope, String id, String message) {
      super(scope, id, ChartProps.builder().namespace(NAMESPACE).build());

      String html = "<!doctype html>\n<title>greeter</title>\n<h1>" + message + "</h1>\n";
      object(this, "page", "ConfigMap", "greeter-page")
          .addJsonPatch(JsonPatch.add("/data", Map.of("index.html", html)));
    }
  }

  private static ApiObject object(Chart chart, String id, String kind, String name) {
    return new ApiObject(chart, id, ApiObjectProps.builder()
        .apiVersion("v1")
        .kind(kind)
        .metadata(ApiObjectMetadata.builder().name(name).build())
        .build());
  }
}
