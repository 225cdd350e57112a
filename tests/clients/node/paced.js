// Sends GET and SET of images at a steady rate: the same arguments, files and lines as ../python/paced.py.
import { existsSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';

const IN_FLIGHT = 400;
const KEYS = 300;
const SET_EVERY = 5;

const [mode, host, port, rate, size, folder] = process.argv.slice(2);
export const given = {
  recommended: mode === 'recommended',
  host,
  port: Number(port),
  password: process.env.REDIS_PASSWORD,
};

// `send(op, key, value)` gives a promise that is rejected when the request failed.
export function run(send) {
  const value = randomBytes(Number(size));
  const every = 1000 / Number(rate);
  let due = performance.now();
  let number = 0;
  let running = 0;
  const say = (line) => writeSync(1, JSON.stringify(line) + '\n');
  const tick = () => {
    if (existsSync(`${folder}/stop`)) process.exit(0);
    due = Math.max(due + every, performance.now() - 1000);
    setTimeout(tick, Math.max(0, due - performance.now()));
    if (existsSync(`${folder}/asleep`)) return;
    const op = number % SET_EVERY === 0 ? 'set' : 'get';
    const n = ++number;
    const key = `image:${n % KEYS}`;
    const began = performance.now();
    say({ n, at: Date.now() });
    const ended = (error) => say({ n, ms: performance.now() - began, error });
    if (running >= IN_FLIGHT) return ended('not sent: too many unanswered');
    running++;
    let sent;
    try {
      sent = send(op, key, value);
    } catch (error) {
      sent = Promise.reject(error);
    }
    sent.then(() => null, (error) => `${error.name}: ${error.message}`.slice(0, 160)).then((error) => {
      running--;
      ended(error);
    });
  };
  tick();
}
