// ioredis under load (see paced.js).
import { given, run } from './paced.js';
// settings: begin
import { Cluster } from 'ioredis';

const REQUEST_MS = 2000;

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
      commandTimeout: REQUEST_MS, // the default is none
    },
    slotsRefreshTimeout: 1000,
    slotsRefreshInterval: 2000, // asks who owns which slot also while no node has said MOVED
    retryDelayOnFailover: 200, // times maxRedirections (16), a request is tried as long as commandTimeout lets it
    retryDelayOnClusterDown: 200,
  });
  cluster.on('error', () => {}); // the request's own promise is rejected too
  return cluster;
}
// use: const image = await within(REQUEST_MS, cluster.getBuffer(key));
// settings: end

function byDefaults(host, port, password) {
  const cluster = new Cluster([{ host, port }], { redisOptions: { username: "app", password } });
  cluster.on('error', () => {});
  return cluster;
}

const client = (given.recommended ? connect : byDefaults)(given.host, given.port, given.password);
const send = (op, key, value) => (op === 'set' ? client.set(key, value, 'EX', 300) : client.getBuffer(key));
run(given.recommended ? (...request) => within(REQUEST_MS, send(...request)) : send);
