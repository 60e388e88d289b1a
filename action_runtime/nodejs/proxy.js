// A stock OpenWhisk runtime for JavaScript actions: `/init` and `/run` over HTTP. Standard library of node only.
//
// Usage: node proxy.js fd:3    an open listening socket that the platform hands over
//        node proxy.js 8080    a port of this host alone
//        node proxy.js *:8080  a port, on all addresses: in a container of its own
'use strict';

const http = require('http');
const { load } = require('./loader.js');
const { serialized } = require('./errors.js');

const SENTINEL = 'XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n';
// User code may replace `console` and the streams' methods; what ends its log must still arrive.
const writers = [process.stdout, process.stderr].map((stream) => stream.write.bind(stream));
const log = console.error.bind(console);
const abort = process.abort.bind(process);

function endLog() {
  for (const write of writers) write(SENTINEL);
}

/** A memory limit that was hit: a catchable error here, the end of the container in stock, and so here too. */
function endIfOutOfMemory(error) {
  if (error instanceof RangeError && /allocation failed/.test(error.message)) {
    log(error);
    abort();
  }
}

/** What a command line names, as `listen` takes it. */
function place(where) {
  if (where.startsWith('fd:')) return { fd: Number(where.slice(3)) };
  if (where.startsWith('*:')) return { port: Number(where.slice(2)) };
  return { host: '127.0.0.1', port: Number(where) };
}

function failure(status, error) {
  return { status, text: JSON.stringify({ error }) };
}

class Runtime {
  /** @param {boolean} concurrent Runs may overlap; else the second of two is refused. */
  constructor(concurrent) {
    this.concurrent = concurrent;
    this.status = 'ready'; // ready, starting, running, stopped: the words of stock's texts
    this.main = undefined;
  }

  refuse(text) {
    log('Internal system error:', text);
    return failure(403, text);
  }

  async init({ value }) {
    if (this.status !== 'ready' || this.main !== undefined) {
      return this.refuse(
        this.main ? 'Cannot initialize the action more than once.' : `System not ready, status is ${this.status}.`,
      );
    }
    const { code, main, binary, env } = value ?? {};
    if (typeof code !== 'string' || typeof main !== 'string' || !code || !main) {
      return failure(403, 'Missing main/no code to execute.');
    }
    this.status = 'starting';
    for (const [name, one] of Object.entries(env ?? {})) {
      process.env[name] = one !== null && typeof one === 'object' ? JSON.stringify(one) : String(one ?? '');
    }
    try {
      this.main = await load(code, main, Boolean(binary));
    } catch (error) {
      this.status = 'stopped';
      log('Error during initialization:', error);
      endIfOutOfMemory(error);
      endLog();
      return failure(502, `Initialization has failed due to: ${error?.stack ? String(error.stack) : error}`);
    }
    this.status = 'ready';
    return { status: 200, text: '{"OK":true}' };
  }

  async run(message) {
    if (this.status !== 'ready' || this.main === undefined) {
      return this.refuse(this.main ? `System not ready, status is ${this.status}.` : 'System not initialized.');
    }
    const value = message.value ?? {};
    if (typeof value !== 'object') {
      return this.refuse(
        `Internal system error: the argument must be a dictionary but has type '${typeof value}'.`,
      );
    }
    for (const [name, one] of Object.entries(message)) {
      if (name !== 'value' && typeof one === 'string') process.env[`__OW_${name.toUpperCase()}`] = one;
    }
    if (!this.concurrent) this.status = 'running';
    let reply;
    try {
      reply = await this.call(value);
      if (this.status === 'running') this.status = 'ready';
    } catch (error) {
      this.status = 'stopped';
      log(error);
      endIfOutOfMemory(error);
      reply = failure(502, `An error has occurred: ${error}`);
    }
    endLog();
    return reply;
  }

  /** Call the function. Throws what it throws at once, and what its result does when it is written as JSON. */
  async call(value) {
    const { main } = this;
    const given = main(value); // not within the promise: a function that throws is no rejected promise
    let result;
    try {
      result = await given;
    } catch (error) {
      endIfOutOfMemory(error);
      result = { error: error ? serialized(error) : {} };
    }
    if (result === undefined) result = {};
    if (typeof result !== 'object') {
      log(`Result must be of type object but has type "${typeof result}":`, result);
      return failure(502, 'The action did not return a dictionary.');
    }
    return { status: 200, text: JSON.stringify(result) ?? 'null' };
  }
}

function parsed(parts) {
  const body = JSON.parse(Buffer.concat(parts).toString() || '{}');
  if (body === null || typeof body !== 'object') throw new SyntaxError('the body is no object');
  return body;
}

async function answer(runtime, request, parts) {
  const handle = request.method === 'POST' && { '/init': runtime.init, '/run': runtime.run }[request.url];
  if (!handle) return failure(500, 'Bad request.');
  let body;
  try {
    body = parsed(parts);
  } catch (error) {
    endIfOutOfMemory(error);
    return failure(500, 'Bad request.');
  }
  return handle.call(runtime, body);
}

function main(where) {
  const runtime = new Runtime(process.env.__OW_ALLOW_CONCURRENT === 'true');
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', async () => {
      const { status, text } = await answer(runtime, request, parts);
      response.writeHead(status, {
        'Content-Type': 'application/json; charset=utf-8',
        'Content-Length': Buffer.byteLength(text),
      });
      response.end(text);
    });
  });
  server.keepAliveTimeout = 0; // connections stay: it is the invoker that opens and closes them
  server.requestTimeout = 0; // the invoker bounds every request by the action's own limit
  server.headersTimeout = 0;
  server.listen(place(where));
}

main(process.argv[2] ?? '8080');
