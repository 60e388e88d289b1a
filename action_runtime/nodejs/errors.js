// What a rejected promise becomes in a result.
'use strict';

const FIELDS = ['name', 'message', 'stack', 'code', 'cause', 'errors'];
const DEPTH = 32; // an error that is nested deeper is cut there

/**
 * Return a value that JSON can hold, with the fields of an Error that JSON would leave out.
 *
 * @param {unknown} value What was thrown.
 */
function serialized(value, above = []) {
  if (typeof value === 'function') return `[Function: ${value.name || 'anonymous'}]`;
  if (typeof value === 'bigint') return `${value}n`;
  if (value === null || typeof value !== 'object') return value;
  if (Buffer.isBuffer(value)) return '[object Buffer]';
  if (above.includes(value) || above.length >= DEPTH) return '[Circular]';
  if (typeof value.toJSON === 'function') return value.toJSON();
  const path = [...above, value];
  if (Array.isArray(value)) return value.map((one) => serialized(one, path));
  const result = {};
  for (const [name, one] of Object.entries(value)) result[name] = serialized(one, path);
  if (value instanceof Error) {
    for (const name of FIELDS) {
      if (value[name] !== undefined) result[name] = serialized(value[name], path);
    }
  }
  return result;
}

module.exports = { serialized };
