import { ApiObject, App, Chart } from 'cdk8s';

const namespace = 'greeter';
const labels = { 'app.kubernetes.io/name': 'greeter' };

/** A web server that shows one page. Without cdk8s-plus every object is written as Kubernetes has it. */
class Greeter extends Chart {
  constructor(scope, id, { message, replicas }) {
    super(scope, id, { namespace, labels });

    const page = new ApiObject(this, 'page', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      data: { 'index.html': `<!doctype html>\n<title>greeter</title>\n<h1>${message}</h1>\n` },
    });
    new ApiObject(this, 'deployment', {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'greeter' },
      spec: {
        replicas,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            containers: [
              {
                name: 'web',
                image: 'nginxinc/nginx-unprivileged:1.29-alpine',
                ports: [{ containerPort: 8080 }],
                volumeMounts: [{ name: 'page', mountPath: '/usr/share/nginx/html', readOnly: true }],
              },
            ],
            // The name is made from the place in the tree of constructs: greeter-page-c8…
            volumes: [{ name: 'page', configMap: { name: page.name } }],
          },
        },
      },
    });
    new ApiObject(this, 'service', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'greeter' },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    });
  }
}

const app = new App();
new ApiObject(new Chart(app, 'foundation'), 'namespace', {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: namespace },
});
new Greeter(app, 'greeter', { message: 'Hello from cdk8s', replicas: 2 });
app.synth();
