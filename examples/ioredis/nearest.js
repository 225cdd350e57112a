// Reads that stay in the own zone: from the copy of a shard that answers a PING first, where there is one nearby.
//
// No pod has to be told its zone for that. The shortest of the last answers counts: a longer one tells how busy a node
// was, and not how far away it is.
import { setTimeout as after } from 'node:timers/promises';

const EVERY_MS = 500;
const SILENT_MS = 400; // a copy that does not answer for so long is not read, until it answers again
const ANSWERS = 10;
const LOST = new Set(['close', 'reconnecting', 'end']);

const nameOf = (node) => `${node.options.host}:${node.options.port}`;

export class Nearest {
  #answers = new Map();

  // For the option `scaleReads`. The master is the first of `copies`, and stays it among those that are alike. A copy
  // that does not answer comes last.
  choose = (copies) => copies.reduce((best, copy) => (this.#distance(copy) < this.#distance(best) ? copy : best));

  measure(cluster) {
    const round = async () => {
      await Promise.all(cluster.nodes('all').map((node) => this.#ask(node)));
      setTimeout(round, EVERY_MS).unref();
    };
    setTimeout(round, 0).unref();
  }

  #distance(copy) {
    const answers = copy && !LOST.has(copy.status) && this.#answers.get(nameOf(copy));
    return answers ? Math.min(...answers) : Infinity;
  }

  async #ask(node) {
    const name = nameOf(node);
    const began = performance.now();
    try {
      const late = after(SILENT_MS).then(() => Promise.reject(new Error('no answer')));
      await Promise.race([node.ping(), late]);
      const earlier = this.#answers.get(name) ?? [];
      this.#answers.set(name, [...earlier, performance.now() - began].slice(-ANSWERS));
    } catch {
      this.#answers.delete(name);
    }
  }
}
