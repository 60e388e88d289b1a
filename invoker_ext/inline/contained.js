// Evaluates inline functions in a container of Node.js, as Composer's conductor does: the action that `contained.py`
// has run there. What it needs of the language is taken before code of users runs.
const { parse, stringify } = JSON;
const { ownKeys, deleteProperty } = Reflect;
const evaluate = globalThis.eval;
const print = console.error.bind(console);
const COMPILED = 64;
// What a function of the conductor finds around it, whatever runtime this is.
const around = [
  typeof module === 'undefined' ? undefined : module,
  typeof exports === 'undefined' ? undefined : exports,
  typeof __dirname === 'undefined' ? undefined : __dirname,
  typeof __filename === 'undefined' ? undefined : __filename,
];
const globals = new Set(ownKeys(globalThis));
let compiled = new Map();

/** Variables become local ones, and are read again however the function ends. */
function source(code, names) {
  let before = 'const require=arguments[2];';
  let after = '';
  for (const name of names) {
    before += `var ${name}=arguments[1]['${name}'];`;
    after += `arguments[1]['${name}']=${name};`;
  }
  const body = `try{${before}return eval((function(){return(${code}\n)})())(arguments[0])}finally{${after}}`;
  return `(function(module,exports,__dirname,__filename){return function(){${body}}})`;
}

function compile(text) {
  let found = compiled.get(text);
  if (found === undefined) {
    if (compiled.size >= COMPILED) compiled = new Map();
    found = evaluate(text)(...around);
    compiled.set(text, found);
  }
  return found;
}

/** What the answer is written by, and globals that a function forgot to declare, are not what it made of them. */
function clean() {
  JSON.parse = parse;
  JSON.stringify = stringify;
  for (const key of ownKeys(globalThis)) if (!globals.has(key)) deleteProperty(globalThis, key);
}

function json(value) {
  const text = stringify(value);
  parse(text); // of what JSON does not know it says the same as in the conductor
  return text;
}

function said(error) {
  try {
    const text = typeof error === 'string' ? error : error?.error || error?.message;
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}

/**
 * Evaluate functions one after the other, as the conductor does, until one fails or its value must be looked at.
 *
 * @param {{codes: string[], params: string, names: string[], cells: string[]}} call Values are JSON texts.
 * @returns {Promise<{kind: string, said: string, result: string | null, cells: (string | null)[], done: number}>} How
 *   the last one ended; `result` is null if the parameters were left as they are, a cell if it did not change.
 */
async function main({ codes, params, names, cells: before }) {
  const cells = names.map(() => null);
  const answer = { kind: 'done', said: '', result: null, cells, done: 0 };
  for (const code of codes) {
    if (answer.done > 0) {
      const passed = object(answer.result ?? params);
      if (passed === null) break;
      if (answer.result !== null) answer.result = passed; // of what is no object the box stays
    }
    clean();
    const now = before.map((text, at) => cells[at] ?? text);
    const one = await evaluated(code, answer.result ?? params, names, now);
    clean();
    one.cells.forEach((text, at) => { if (text !== null) cells[at] = text; });
    Object.assign(answer, { kind: one.kind, said: one.said, result: one.result ?? answer.result });
    answer.done += 1;
    if (one.kind !== 'done') return { ...answer, result: null };
  }
  return answer;
}

/** What the next function gets, an object; null: it has an error, which the engine looks at. */
function object(text) {
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `{"value":${text}}`;
  return Object.hasOwn(value, 'error') ? null : text;
}

async function evaluated(code, given, names, before) {
  const cells = names.map(() => null);
  const ended = (kind, error = '', result = null) => ({ kind, said: said(error), result, cells });
  const params = parse(given);
  const environment = Object.create(null);
  names.forEach((name, at) => { environment[name] = parse(before[at]); });
  let value;
  try {
    try {
      value = compile(source(code, names))(params, environment, require);
    } finally {
      names.forEach((name, at) => {
        const text = json(environment[name]);
        if (text !== before[at]) cells[at] = text;
      });
    }
    if (typeof value === 'object') value = await value;
  } catch (error) {
    print(error);
    return ended('threw');
  }
  if (typeof value === 'function') return ended('function');
  try {
    const text = json(value === undefined ? params : value);
    return ended('done', '', value === undefined && text === given ? null : text);
  } catch (error) {
    return ended('internal', error);
  }
}
