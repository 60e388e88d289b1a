// From the code of an action to its function.
'use strict';

const fs = require('fs');
const { createRequire, Module } = require('module');
const path = require('path');
const { unpack } = require('./archive.js');

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*(\.[\p{ID_Start}$_][\p{ID_Continue}$]*)*$/u;

/**
 * Load an action; of an archive, its folder becomes the working directory.
 *
 * @param {string} code Source text; or base64 of a zip or tar.gz.
 * @param {string} main Name of the function; dots lead into objects, in an archive from `module.` on.
 * @param {boolean} binary It is an archive.
 * @returns {Promise<Function>} Rejected with whatever the code throws, or a sentence that says what is wrong.
 */
async function load(code, main, binary) {
  const found = binary ? fromArchive(Buffer.from(code, 'base64'), main) : fromText(code, main);
  if (typeof found !== 'function') throw `Action entrypoint '${main}' is not a function.`;
  return found;
}

/** Run source text as a module and return what `main` names in its scope, or in its exports. */
function fromText(code, main) {
  if (!NAME.test(main)) return undefined;
  const file = path.resolve('main.js'); // its name in traces; nothing is there
  const one = new Module(file);
  one.filename = file;
  one.paths = Module._nodeModulePaths(path.dirname(file));
  const { exports } = one;
  const look = `(() => { try { return ${main}; } catch (e) { if (e.name !== 'ReferenceError') throw e; } })()`;
  one._compile(`${code}\n;module.found = ${look};`, file); // node's own way: `import()` works in it
  return one.found ?? member(one.exports, main) ?? member(exports, main);
}

/** Unpack an archive and return what `main` names: `FUNCTION` of its package, or `MODULE.FUNCTION`. */
function fromArchive(archive, main) {
  const folder = fs.mkdtempSync(path.resolve('action-'));
  unpack(archive, folder);
  process.chdir(folder);
  const dot = main.indexOf('.');
  const within = path.join(folder, 'index.js');
  if (dot > 0) return member(createRequire(within)(`./${main.slice(0, dot)}`), main.slice(dot + 1));
  if (!fs.existsSync('package.json') && !fs.existsSync('index.js')) {
    throw 'Zipped actions must contain either package.json or index.js at the root.';
  }
  return member(createRequire(within)(folder), main);
}

function member(object, dotted) {
  return dotted.split('.').reduce((found, name) => found?.[name], object);
}

module.exports = { load };
