// Serves images over HTTP: from the cache, or on a miss from where they come from.
//
//   GET /images/NAME    the image
//   GET /metrics        counters and latencies, for Prometheus
//
// Environment: REDIS_ENDPOINT (the stack output `endpoint`), ORIGIN (a URL that has /NAME), LISTEN (port),
// TTL_SECONDS, and the files of settings.js.
import { createServer } from 'node:http';
import { Counter, Histogram, register } from 'prom-client';
import { answered, PATIENCE_MS, pool, within } from './settings.js';

const [, HOST, PORT] = process.env.REDIS_ENDPOINT.match(/^(.*):(\d+)$/);
const ORIGIN = process.env.ORIGIN.replace(/\/$/, '');
const TTL_SECONDS = Number(process.env.TTL_SECONDS ?? 300);
const ORIGIN_MS = 10_000;
// Other names are not found. Nothing in these is escaped, so that nobody reads them in two ways, and none of them leads
// out of the origin's folder.
const IMAGE = /^\/images\/([A-Za-z0-9_-][A-Za-z0-9._-]*)$/;
const UNSTORED = 64; // while the cache takes no writes, so many images wait to be stored; more are not

const lookups = new Counter({
  name: 'image_lookups_total', help: 'Requests for an image, by how they were answered', labelNames: ['result'],
});
const cacheErrors = new Counter({
  name: 'image_cache_errors_total', help: 'Commands that the cache did not answer', labelNames: ['command'],
});
const cacheSeconds = new Histogram({
  name: 'image_cache_seconds', help: 'How long commands took, retries included', labelNames: ['command'],
});

const client = pool(HOST, Number(PORT));
class NotFound extends Error {}

// The answer; null also where there is none, since without its cache the application still works.
async function command(name, send) {
  const ended = cacheSeconds.startTimer({ command: name });
  try {
    return await send();
  } catch {
    cacheErrors.inc({ command: name });
    return null;
  } finally {
    ended();
  }
}

async function fetched(name) {
  const answer = await fetch(`${ORIGIN}/${name}`, { signal: AbortSignal.timeout(ORIGIN_MS) });
  if (answer.status === 404) throw new NotFound();
  if (answer.status !== 200) throw new Error(`the origin answered ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
}

async function lookUp(name) {
  const key = `image:${name}`;
  const cached = await command('get', () => answered(() => client().getBuffer(key)));
  if (cached !== null) {
    lookups.inc({ result: 'hit' });
    return { bytes: cached };
  }
  lookups.inc({ result: 'miss' });
  const bytes = await fetched(name);
  return { bytes, stored: store(key, bytes) };
}

// Nobody waits until an image is stored: while a master is lost that may be long. Who asks until then gets it from here,
// and its origin is left alone.
let unstored = 0;
async function store(key, bytes) {
  if (unstored >= UNSTORED) return cacheErrors.inc({ command: 'set' });
  unstored++;
  await command('set', () => within(PATIENCE_MS, client().set(key, bytes, 'EX', TTL_SECONDS)));
  unstored--;
}

// However many ask for an image at a time, it is looked up once.
const underWay = new Map();
function image(name) {
  if (underWay.has(name)) {
    lookups.inc({ result: 'coalesced' });
  } else {
    const found = lookUp(name);
    underWay.set(name, found.then(({ bytes }) => bytes));
    // An error is told to those who asked.
    found.then(({ stored }) => stored, () => {}).finally(() => underWay.delete(name));
  }
  return underWay.get(name);
}

async function answer(url) {
  const [path] = url.split('?');
  if (path === '/metrics') return [200, register.contentType, await register.metrics()];
  const name = path.match(IMAGE)?.[1];
  if (name === undefined) return [404, 'text/plain', '/images/NAME or /metrics\n'];
  try {
    return [200, 'image/jpeg', await image(name)];
  } catch (error) {
    return error instanceof NotFound ? [404, 'text/plain', 'no such image\n'] : [502, 'text/plain', `${error.message}\n`];
  }
}

createServer(async (request, response) => {
  const [status, kind, body] = await answer(request.url);
  response.writeHead(status, { 'Content-Type': kind, 'Content-Length': Buffer.byteLength(body) }).end(body);
}).listen(Number(process.env.LISTEN ?? 8080));
