import { Chart, Include } from 'cdk8s';
import { Namespace } from 'cdk8s-plus-33';
import { Construct } from 'constructs';
import { MaintenanceWindow } from './imports/ops.example.com';

export interface FoundationProps {
  readonly namespace: string;
}

/** What has to be there before the application: its namespace, and the hours in which its pods may be restarted. */
export class Foundation extends Chart {
  constructor(scope: Construct, id: string, props: FoundationProps) {
    super(scope, id);

    new Namespace(this, 'namespace', { metadata: { name: props.namespace } });
    new Include(this, 'crd', { url: 'crds/maintenancewindow.yaml' });
    new MaintenanceWindow(this, 'maintenance', {
      metadata: { name: 'nightly', namespace: props.namespace },
      spec: { schedule: '0 3 * * *', duration: '2h', timeZone: 'Europe/Berlin' },
    });
  }
}
