// How this application talks to the cache. The time-outs and retries are those of docs/clients.md.
import { existsSync, readFileSync } from 'node:fs';
import { Cluster } from 'ioredis';
import { Nearest } from './nearest.js';

export const PATIENCE_MS = 1000 * Number(process.env.REDIS_PATIENCE_S ?? 2);
const ATTEMPT_MS = 800;
const PAUSE_MS = 200;
const CONNECTIONS_PER_NODE = 4;
const PASSWORD_FILE = process.env.REDIS_PASSWORD_FILE ?? '/etc/redis-cache/password';
const CA_FILE = process.env.REDIS_CA_FILE ?? '/etc/redis-cache/ca.crt';

// ioredis counts commandTimeout anew for some retries, so the whole request has an end of its own.
export function within(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

// What a read gives. One that gets no answer is sent again, to another copy: by then Nearest knows. ioredis itself waits
// for the first copy until its connection is closed.
export async function answered(send) {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await within(Math.min(ATTEMPT_MS, until - performance.now()), send());
    } catch (error) {
      if (performance.now() + PAUSE_MS >= until) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

// The nearest copy of a shard can be a moment behind: a miss, or an image that was replaced just now. `master` is for
// images that are replaced under their name and must never be the old ones.
const READS_FROM = process.env.REDIS_READS_FROM ?? 'nearest';
const nearest = READS_FROM === 'nearest' ? new Nearest() : null;

function connect(host, port) {
  const cluster = new Cluster([{ host, port }], {
    redisOptions: {
      username: process.env.REDIS_USER ?? 'app',
      password: readFileSync(PASSWORD_FILE, 'utf8'), // read once: another password needs a restart
      tls: existsSync(CA_FILE) ? { ca: readFileSync(CA_FILE) } : undefined,
      connectTimeout: 500,
      socketTimeout: 1000,
      commandTimeout: PATIENCE_MS,
    },
    slotsRefreshTimeout: 1000,
    slotsRefreshInterval: 2000,
    maxRedirections: (2 * PATIENCE_MS) / PAUSE_MS,
    retryDelayOnFailover: PAUSE_MS,
    retryDelayOnClusterDown: PAUSE_MS,
    scaleReads: nearest ? nearest.choose : 'master',
  });
  cluster.on('error', () => {}); // the request's own promise is rejected too
  return cluster;
}

// A client has one connection to each node, and answers of 1 MB come one after the other on it.
export function pool(host, port) {
  const clients = Array.from({ length: CONNECTIONS_PER_NODE }, () => connect(host, port));
  nearest?.measure(clients[0]);
  let turn = 0;
  return () => clients[turn++ % clients.length];
}
