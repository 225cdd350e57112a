// node-redis under load (see paced.js).
import { given, run } from './paced.js';
// settings: begin
import { createCluster } from 'redis';

export async function connect(host, port, password) {
  const cluster = createCluster({
    rootNodes: [{ socket: { host, port } }],
    defaults: {
      password,
      socket: {
        connectTimeout: 500, // the default is 5 s
        socketTimeout: 1000, // closes a silent connection; the default is never
        reconnectStrategy: (retries) => Math.min(100 + retries * 50, 500),
      },
      pingInterval: 400, // an idle connection is silent too: it must say something before socketTimeout
      commandOptions: { timeout: 1000 }, // of a request that waits for a connection
    },
    topologyRefreshOnReconnectionAttemptStrategy: 500, // ms until a lost node makes it ask for the others' view
  });
  cluster.on('error', () => {}); // without a listener, Node.js ends the process
  await cluster.connect();
  return cluster;
}
// settings: end

async function byDefaults(host, port, password) {
  const cluster = createCluster({ rootNodes: [{ socket: { host, port } }], defaults: { password } });
  cluster.on('error', () => {});
  await cluster.connect();
  return cluster;
}

const client = await (given.recommended ? connect : byDefaults)(given.host, given.port, given.password);
run((op, key, value) => (op === 'set' ? client.set(key, value, { EX: 300 }) : client.get(key)));
