// node-redis under load (see paced.js).
import { given, run } from './paced.js';
// settings: begin
import { createCluster } from 'redis';

const ATTEMPT_MS = 800;
const REPLACE_MS = 500;
const START_MS = 5000;

// A node that is stopped accepts the connection, and then says nothing: connecting, too, must have an end.
function within(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function open(host, port, password, ms) {
  const cluster = createCluster({
    rootNodes: [{ socket: { host, port } }],
    defaults: { username: "app", password, socket: { connectTimeout: 500 } }, // the default is 5 s
    minimizeConnections: true, // else connecting waits for every node, also for a lost one
    commandOptions: { timeout: ATTEMPT_MS }, // only until a command is written: afterwards nothing ends it
    topologyRefreshOnReconnectionAttemptStrategy: 500,
  });
  cluster.on('error', () => {}); // without a listener, Node.js ends the process
  try {
    await within(ms, cluster.connect());
  } catch (error) {
    cluster.destroy();
    throw error;
  }
  return cluster;
}

// A cluster client that is replaced when it gives no answer. By itself, node-redis waits for a lost node's answer.
export async function connect(host, port, password) {
  let cluster = await open(host, port, password, START_MS);
  let replacement;
  const replace = () =>
    (replacement ??= open(host, port, password, REPLACE_MS)
      .then((next) => {
        const old = cluster;
        cluster = next;
        setTimeout(() => old.destroy(), 2 * ATTEMPT_MS); // what others still wait for may come
      })
      .catch(() => {}) // the next request that gets no answer tries again
      .finally(() => setTimeout(() => (replacement = undefined), ATTEMPT_MS / 2)));
  return async (send) => {
    try {
      return await within(ATTEMPT_MS, send(cluster));
    } catch {
      await replace();
      return await within(ATTEMPT_MS, send(cluster));
    }
  };
}
// use: const image = await request((cluster) => cluster.get(key));
// settings: end

async function byDefaults(host, port, password) {
  const cluster = createCluster({ rootNodes: [{ socket: { host, port } }], defaults: { username: "app", password } });
  cluster.on('error', () => {});
  await cluster.connect();
  return (send) => send(cluster);
}

const request = await (given.recommended ? connect : byDefaults)(given.host, given.port, given.password);
run((op, key, value) =>
  request((cluster) => (op === 'set' ? cluster.set(key, value, { EX: 300 }) : cluster.get(key))),
);
