import { App } from 'cdk8s';
import { Foundation } from './foundation';
import { Greeter } from './greeter';

const namespace = 'greeter';

const app = new App();
new Foundation(app, 'foundation', { namespace });
new Greeter(app, 'greeter', { namespace, message: 'Hello from cdk8s', replicas: 2 });
app.synth();
