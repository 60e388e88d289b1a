// The JavaScript half of `engine.py`: evaluates to one function, `turn`, that Python alone can reach. What it needs of
// the language is taken before user code runs; objects of its own have no prototype that user code could change.
(() => {
  'use strict'
  const { parse, stringify } = JSON
  const { apply, ownKeys } = Reflect
  const { create } = Object
  const text = String
  const Failure = ReferenceError
  const NoJson = SyntaxError
  const Pledge = Promise
  const resolve = Promise.resolve
  const then = Promise.prototype.then
  const cut = String.prototype.slice
  const evaluate = globalThis.eval

  const LOG_CHARS = 8192
  let log = ''
  let head = null // of the answer, once there is one
  let result = null // JSON text
  const cells = create(null) // name → JSON text

  const shown = value => {
    try {
      if (typeof value === 'string') return value
      if (typeof value === 'object' && value !== null && typeof value.stack === 'string') return value + '\n' + value.stack
      const json = stringify(value)
      return json === undefined ? text(value) : json
    } catch {
      return '[value that cannot be shown]'
    }
  }
  const write = line => {
    if (log.length < LOG_CHARS) log += apply(cut, line, [0, LOG_CHARS - log.length]) + '\n'
  }
  const print = function () {
    let line = ''
    for (let i = 0; i < arguments.length; i++) line += (i ? ' ' : '') + shown(arguments[i])
    write(line)
  }
  const console = {}
  for (const level of ['log', 'info', 'warn', 'error', 'debug', 'trace']) console[level] = print
  globalThis.console = console

  const require = name => {
    throw new Failure('require is not defined')
  }
  const end = (kind, name, message) => {
    const one = create(null)
    one.kind = kind
    one.name = name
    one.message = message
    one.log = log
    head = one
  }
  const word = (value, key) => {
    try {
      const found = typeof value === 'object' && value !== null ? value[key] : '' // read once: it may be a getter
      return typeof found === 'string' ? found : ''
    } catch {
      return ''
    }
  }
  const threw = error => {
    write(shown(error))
    // Where there is no memory for an error, `null` is thrown.
    end(error === null ? 'null' : 'threw', word(error, 'name'), word(error, 'message'))
  }
  // What stock's catch-all says of an error: what the result was is of no interest any more.
  const internal = error =>
    end('internal', word(error, 'name'), word(error, 'error') || word(error, 'message') || (typeof error === 'string' ? error : ''))
  const json = value => {
    const written = stringify(value)
    if (written === undefined) throw new NoJson('"undefined" is not valid JSON')
    return written
  }
  const settle = (value, params, given) => {
    if (typeof value === 'function') return end('function', '', '')
    try {
      const written = json(value === undefined ? params : value)
      if (value !== undefined || written !== given) result = written
    } catch (error) {
      return internal(error)
    }
    end('done', '', '')
  }
  // The text around the function: variables become local ones, and are read again however it ends.
  const around = (code, names) => {
    let before = 'const require=arguments[2];'
    let after = ''
    for (let i = 0; i < names.length; i++) {
      before += `var ${names[i]}=arguments[1]['${names[i]}'];`
      after += `arguments[1]['${names[i]}']=${names[i]};`
    }
    return `(function(){try{${before}return eval((function(){return(${code}\n)})())(arguments[0])}finally{${after}}})`
  }
  const call = (code, given, variables) => {
    let params
    let value
    try {
      params = parse(given)
      const environment = parse(variables)
      const names = ownKeys(environment)
      try {
        value = apply(evaluate(around(code, names)), undefined, [params, environment, require])
      } finally {
        for (let i = 0; i < names.length; i++) cells[names[i]] = json(environment[names[i]])
      }
    } catch (error) {
      return threw(error)
    }
    if (typeof value !== 'object' || value === null) return settle(value, params, given)
    apply(then, apply(resolve, Pledge, [value]), [one => settle(one, params, given), threw])
  }
  return (what, one, two, three) => {
    if (what === 'call') return call(one, two, three)
    if (what === 'head') return head === null ? undefined : stringify(head)
    if (what === 'result') return result
    return cells[one]
  }
})()
