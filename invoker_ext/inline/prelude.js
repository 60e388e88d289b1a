// The JavaScript half of `engine.py`: evaluates to one function, `turn`, that Python alone can reach. What it needs of
// the language is taken before user code runs; objects of its own have no prototype that user code could change.
(() => {
  'use strict'
  const { parse, stringify } = JSON
  const { apply, ownKeys, deleteProperty } = Reflect
  const { create, is } = Object
  const text = String
  const Failure = ReferenceError
  const NoJson = SyntaxError
  const Pledge = Promise
  const resolve = Promise.resolve
  const then = Promise.prototype.then
  const cut = String.prototype.slice
  const evaluate = globalThis.eval

  const LOG_CHARS = 8192
  const COMPILED = 64
  let state = null // of the call at hand; what an earlier one still does is told by it
  let compiled = create(null) // text around a function → what it compiles to
  let count = 0

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
    const room = LOG_CHARS - state.head.log.length
    if (room > 0) state.head.log += apply(cut, line, [0, room]) + '\n'
  }
  const print = function () {
    let line = ''
    for (let i = 0; i < arguments.length; i++) line += (i ? ' ' : '') + shown(arguments[i])
    write(line)
  }
  globalThis.console = { log: print, info: print, warn: print, error: print, debug: print, trace: print }

  const require = name => {
    throw new Failure('require is not defined')
  }
  const end = (mine, kind, error) => {
    mine.head.kind = kind
    mine.head.name = word(error, 'name')
    mine.head.message = typeof error === 'string' ? error : (kind === 'internal' && word(error, 'error')) || word(error, 'message')
    mine.ended = true
  }
  const word = (value, key) => {
    try {
      const found = typeof value === 'object' && value !== null ? value[key] : '' // read once: it may be a getter
      return typeof found === 'string' ? found : ''
    } catch {
      return ''
    }
  }
  const threw = (mine, error) => {
    write(shown(error))
    // Where there is no memory for an error, `null` is thrown.
    end(mine, error === null ? 'null' : 'threw', error)
  }
  const json = value => {
    const written = stringify(value)
    if (written === undefined) throw new NoJson('"undefined" is not valid JSON')
    return written
  }
  const settle = (mine, value, params, given) => {
    if (typeof value === 'function') return end(mine, 'function', null)
    try {
      const written = json(value === undefined ? params : value)
      if (value !== undefined || written !== given) mine.result = written
    } catch (error) {
      return end(mine, 'internal', error) // stock's catch-all: nobody asks any more what the result was
    }
    end(mine, 'done', null)
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
  const compile = source => {
    if (compiled[source] === undefined) {
      if (++count > COMPILED) {
        compiled = create(null)
        count = 1
      }
      compiled[source] = evaluate(source)
    }
    return compiled[source]
  }
  const call = (code, given, variables) => {
    const mine = create(null)
    mine.head = create(null)
    mine.head.log = ''
    mine.cells = create(null) // name → JSON text
    mine.result = null // JSON text
    mine.ended = false
    state = mine
    let params
    let value
    try {
      params = parse(given)
      const environment = parse(variables)
      const names = ownKeys(environment)
      try {
        value = apply(compile(around(code, names)), undefined, [params, environment, require])
      } finally {
        for (let i = 0; i < names.length; i++) mine.cells[names[i]] = json(environment[names[i]])
      }
    } catch (error) {
      return threw(mine, error)
    }
    if (typeof value !== 'object' || value === null) return settle(mine, value, params, given)
    apply(then, apply(resolve, Pledge, [value]), [
      one => settle(mine, one, params, given),
      error => threw(mine, error)
    ])
  }
  // Takes away what a call left in the global object; false: more was changed than can be taken back.
  const clean = () => {
    const now = ownKeys(globalThis)
    if (now.length !== keys.length) {
      for (let i = 0; i < now.length; i++) {
        if (!(now[i] in values) && !deleteProperty(globalThis, now[i])) return false
      }
    }
    for (let i = 0; i < keys.length; i++) if (!is(globalThis[keys[i]], values[keys[i]])) return false
    return true
  }
  const keys = ownKeys(globalThis)
  const values = create(null)
  for (let i = 0; i < keys.length; i++) values[keys[i]] = globalThis[keys[i]]

  return (what, one, two, three) => {
    if (what === 'call') return call(one, two, three)
    if (what === 'head') return state.ended ? stringify(state.head) : undefined
    if (what === 'result') return state.result
    if (what === 'cell') return state.cells[one]
    return clean()
  }
})()
