// node-redis under load (see paced.js).
import { given, run } from './paced.js';
// settings: begin
import { createCluster } from 'redis';

const PATIENCE_MS = 1000 * Number(process.env.REDIS_PATIENCE_S ?? 2); // 2 outlasts a crash, 15 a failover
const ATTEMPT_MS = 800;
const REPLACE_MS = 500;
const PAUSE_MS = 200;
const START_MS = 10_000;

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

async function started(host, port, password) {
  const until = performance.now() + START_MS;
  for (;;) {
    try {
      return await open(host, port, password, START_MS);
    } catch (error) {
      if (performance.now() >= until) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

// A cluster client that is replaced when it gives no answer. By itself, node-redis waits for a lost node's answer.
export async function connect(host, port, password) {
  let cluster = await started(host, port, password);
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
  const tried = async (send, until) => {
    const used = cluster;
    try {
      return await within(ATTEMPT_MS, send(used));
    } catch (error) {
      if (performance.now() >= until) throw error;
      if (used === cluster) await replace(); // else another request has done it
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      return tried(send, until);
    }
  };
  return (send) => within(PATIENCE_MS, tried(send, performance.now() + PATIENCE_MS));
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
