// ioredis under load (see paced.js).
import { given, run } from './paced.js';
// settings: begin
import { Cluster } from 'ioredis';

const PATIENCE_MS = 1000 * Number(process.env.REDIS_PATIENCE_S ?? 2); // 2 outlasts a crash, 15 a failover
const PAUSE_MS = 200;

// ioredis counts commandTimeout anew for some retries, so the whole request has an end of its own.
export function within(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

export function connect(host, port, password) {
  const cluster = new Cluster([{ host, port }], {
    redisOptions: {
      username: "app",
      password,
      connectTimeout: 500, // the default is 10 s
      socketTimeout: 1000, // closes a connection on which answers are due and none comes; the default is never
      commandTimeout: PATIENCE_MS, // the default is none
    },
    slotsRefreshTimeout: 1000,
    slotsRefreshInterval: 2000, // asks who owns which slot also while no node has said MOVED
    maxRedirections: (2 * PATIENCE_MS) / PAUSE_MS, // with the delays below, as long as there is patience
    retryDelayOnFailover: PAUSE_MS,
    retryDelayOnClusterDown: PAUSE_MS,
  });
  cluster.on('error', () => {}); // the request's own promise is rejected too
  return cluster;
}
// use: const image = await within(PATIENCE_MS, cluster.getBuffer(key));
// settings: end

function byDefaults(host, port, password) {
  const cluster = new Cluster([{ host, port }], { redisOptions: { username: "app", password } });
  cluster.on('error', () => {});
  return cluster;
}

const client = (given.recommended ? connect : byDefaults)(given.host, given.port, given.password);
const send = (op, key, value) => (op === 'set' ? client.set(key, value, 'EX', 300) : client.getBuffer(key));
run(given.recommended ? (...request) => within(PATIENCE_MS, send(...request)) : send);
