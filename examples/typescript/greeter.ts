import { Chart, ChartProps, Size } from 'cdk8s';
import { ConfigMap, ContainerProps, Cpu, Deployment, Probe, Volume } from 'cdk8s-plus-33';
import { Construct } from 'constructs';

export interface GreeterProps extends ChartProps {
  readonly namespace: string;
  readonly message: string;
  readonly replicas: number;
}

/** A web server that shows one page. */
export class Greeter extends Chart {
  constructor(scope: Construct, id: string, props: GreeterProps) {
    super(scope, id, { labels: { 'app.kubernetes.io/name': id }, ...props });

    const page = new ConfigMap(this, 'page', {
      metadata: { name: 'greeter-page' },
      data: { 'index.html': `<!doctype html>\n<title>greeter</title>\n<h1>${props.message}</h1>\n` },
    });
    const deployment = new Deployment(this, 'deployment', {
      metadata: { name: 'greeter' },
      replicas: props.replicas,
      containers: [webServer()],
    });
    const [container] = deployment.containers;
    container.mount('/usr/share/nginx/html', Volume.fromConfigMap(this, 'html', page), { readOnly: true });
    container.mount('/tmp', Volume.fromEmptyDir(this, 'tmp', 'tmp'));
    deployment.exposeViaService({ name: 'greeter', ports: [{ port: 80, targetPort: 8080 }] });
  }
}

function webServer(): ContainerProps {
  return {
    image: 'nginxinc/nginx-unprivileged:1.29-alpine',
    portNumber: 8080,
    readiness: Probe.fromHttpGet('/'),
    securityContext: { user: 101, group: 101 },
    resources: {
      cpu: { request: Cpu.millis(10), limit: Cpu.millis(100) },
      memory: { request: Size.mebibytes(16), limit: Size.mebibytes(64) },
    },
  };
}
