// Every group of calls of the `openwhisk` client, as its README has them. `node openwhisk.js GROUP` runs one group
// against the server that __OW_API_HOST and __OW_API_KEY name; the groups share no entity, so their order is free.
'use strict'

const assert = require('node:assert/strict')
const { setTimeout: pause } = require('node:timers/promises')
const openwhisk = require('openwhisk')

const WITHIN_MS = 20_000
const ow = openwhisk()
const groups = {}

const GREET = `
def main(args):
    print("greeting " + args.get("name", "nobody"))
    return {"greeting": args.get("word", "Hello") + " " + args.get("name", "nobody")}
`
const SHOUT = 'def main(args):\n    return {"greeting": args["greeting"].upper()}\n'
const FAIL = 'def main(args):\n    return {"error": {"statusCode": 418, "why": args.get("why")}}\n'

const python = (name, action, more) => ({ name, action, kind: 'python:3', ...more })
const pairs = list => Object.fromEntries(list.map(({ key, value }) => [key, value]))
const names = list => list.map(one => one.name)

/** Asks until the answer is there: records come behind the response. */
async function eventually (ask, isThere = () => true) {
  const deadline = Date.now() + WITHIN_MS
  for (;;) {
    try {
      const found = await ask()
      if (isThere(found)) return found
      if (Date.now() > deadline) assert.fail(`not within ${WITHIN_MS} ms: ${JSON.stringify(found)}`)
    } catch (error) {
      if (error.statusCode !== 404 || Date.now() > deadline) throw error
    }
    await pause(50)
  }
}

const refused = (promise, status, text) => assert.rejects(promise, error => {
  assert.equal(error.name, 'OpenWhiskError')
  assert.equal(error.statusCode, status)
  assert.match(error.message, text)
  return true
})

groups.actions = async () => {
  const made = await ow.actions.create(python('a-greet', GREET, {
    params: { word: 'Hi' }, annotations: { about: 'greets' }, limits: { timeout: 5000, memory: 128 }
  }))
  assert.equal(made.version, '0.0.1')
  assert.equal(made.namespace, 'guest')
  assert.match(made.exec.kind, /^python:3/)
  assert.deepEqual(pairs(made.parameters), { word: 'Hi' })
  assert.equal(pairs(made.annotations).about, 'greets')
  assert.deepEqual([made.limits.timeout, made.limits.memory], [5000, 128])
  await refused(ow.actions.create(python('a-greet', GREET)), 409, /resource already exists/)

  const updated = await ow.actions.update(python('a-greet', GREET, { params: { word: 'Hey' } }))
  assert.equal(updated.version, '0.0.2')
  assert.deepEqual(pairs(updated.parameters), { word: 'Hey' })
  const limited = await ow.actions.update({ name: 'a-greet', limits: { timeout: 6000 } })
  assert.equal(limited.limits.timeout, 6000)
  assert.equal(limited.exec.code, GREET)
  assert.equal((await ow.actions.update({ name: 'a-greet', version: '2.0.0' })).version, '2.0.0')

  const bare = await ow.actions.get({ name: 'a-greet', code: false })
  assert.equal(bare.exec.code, undefined)
  assert.equal((await ow.actions.get('a-greet')).exec.code, GREET)
  await ow.actions.create({ actionName: 'a-body', action: { exec: { kind: 'python:3', code: SHOUT } } })
  const both = await ow.actions.get(['a-greet', { name: '/guest/a-body' }])
  assert.deepEqual(names(both), ['a-greet', 'a-body'])

  const listed = await ow.actions.list({ limit: 200 })
  assert.ok(names(listed).includes('a-greet') && names(listed).includes('a-body'))
  assert.equal(listed[0].exec.code, undefined)
  assert.equal((await ow.actions.list({ limit: 1, skip: 1 })).length, 1)
  assert.ok((await ow.actions.list({ count: true })).actions >= 2)

  assert.deepEqual(names(await ow.actions.delete(['a-greet', 'a-body'])), ['a-greet', 'a-body'])
  await refused(ow.actions.get('a-greet'), 404, /requested resource .*does not exist/)
  await refused(ow.actions.delete('a-greet'), 404, /requested resource .*does not exist/)
}

groups.archives = async () => {
  // Holds __main__.py, whose main returns {"from": "zip"}.
  const zip = Buffer.from(process.env.ZIP_BASE64, 'base64')
  const made = await ow.actions.create(python('z-zip', zip))
  assert.equal(made.exec.binary, true)
  assert.deepEqual(await ow.actions.invoke({ name: 'z-zip', blocking: true, result: true }), { from: 'zip' })
  assert.deepEqual(Buffer.from((await ow.actions.get('z-zip')).exec.code, 'base64'), zip)
  await ow.actions.delete('z-zip')
}

groups.defaults = async () => {
  // Without a kind the client asks for nodejs:default; an action uses the client, too, by what its environment says.
  const lists = `
function main (args) {
  const openwhisk = require(args.client)
  return openwhisk({ apihost: args.host }).actions.list().then(list => ({ names: list.map(one => one.name) }))
}`
  const made = await ow.actions.create({ name: 'n-lists', action: lists, annotations: { 'provide-api-key': true } })
  assert.match(made.exec.kind, /^nodejs:\d+$/)
  const params = { client: require.resolve('openwhisk'), host: process.env.__OW_API_HOST }
  const result = await ow.actions.invoke({ name: 'n-lists', params, blocking: true, result: true })
  assert.ok(result.names.includes('n-lists'))
  await ow.actions.delete('n-lists')
}

groups.invocations = async () => {
  await ow.actions.create(python('i-greet', GREET, { params: { word: 'Hi' } }))
  await ow.actions.create(python('i-fail', FAIL))

  const { activationId } = await ow.actions.invoke({ name: 'i-greet', params: { name: 'Ada' } })
  assert.match(activationId, /^[0-9a-f]{32}$/)
  const record = await ow.actions.invoke({ name: '/guest/i-greet', params: { name: 'Ada' }, blocking: true })
  assert.deepEqual(record.response.result, { greeting: 'Hi Ada' })
  assert.equal(record.response.success, true)
  assert.equal(record.name, 'i-greet')
  const params = { name: 'Bo', word: 'Bye' }
  assert.deepEqual(await ow.actions.invoke({ name: 'i-greet', blocking: true, result: true, params }), { greeting: 'Bye Bo' })
  assert.equal((await ow.actions.invoke(['i-greet', { name: 'i-greet', blocking: true }])).length, 2)

  await refused(ow.actions.invoke({ name: 'i-fail', blocking: true, params: { why: 'tea' } }), 502, /status code: 418/)
  await ow.actions.invoke({ name: 'i-fail', blocking: true, params: { why: 'tea' } }).catch(({ error }) => {
    assert.deepEqual(error.response.result, { error: { statusCode: 418, why: 'tea' } })
    assert.equal(error.response.status, 'application error')
  })
  await refused(ow.actions.invoke('i-none'), 404, /requested resource .*does not exist/)
  await ow.actions.delete(['i-greet', 'i-fail'])
}

groups.sequences = async () => {
  await ow.actions.create(python('s-greet', GREET))
  await ow.actions.create(python('s-shout', SHOUT))
  const made = await ow.actions.create({ name: 's-both', sequence: ['/_/s-greet', '/guest/s-shout'] })
  assert.deepEqual(made.exec, { kind: 'sequence', components: ['/guest/s-greet', '/guest/s-shout'] })
  const run = await ow.actions.invoke({ name: 's-both', params: { name: 'Ada' }, blocking: true })
  assert.deepEqual(run.response.result, { greeting: 'HELLO ADA' })
  assert.equal(run.logs.length, 2)
  const first = await eventually(() => ow.activations.get(run.logs[0]))
  assert.deepEqual([first.name, first.cause], ['s-greet', run.activationId])

  const other = await ow.actions.update({ name: 's-both', sequence: ['/guest/s-greet'] })
  assert.deepEqual(other.exec.components, ['/guest/s-greet'])
  await refused(ow.actions.create({ name: 's-lost', sequence: ['/_/s-none'] }), 400, /Sequence component does not exist/)
  await ow.actions.delete(['s-both', 's-greet', 's-shout'])
}

groups.packages = async () => {
  const made = await ow.packages.create({
    name: 'p-pack', package: { parameters: [{ key: 'word', value: 'Ciao' }] }, annotations: { about: 'a package' }
  })
  assert.deepEqual(pairs(made.parameters), { word: 'Ciao' })
  assert.equal(pairs(made.annotations).about, 'a package')
  await refused(ow.packages.create('p-pack'), 409, /resource already exists/)
  await ow.actions.create(python('p-pack/greet', GREET))
  assert.deepEqual(names((await ow.packages.get('p-pack')).actions), ['greet'])
  assert.deepEqual(names(await ow.actions.list({ id: 'p-pack/' })), ['greet'])
  const invoke = name => ow.actions.invoke({ name, blocking: true, result: true, params: { name: 'Ada' } })
  assert.deepEqual(await invoke('p-pack/greet'), { greeting: 'Ciao Ada' })

  // What a list says of an action leads to it again.
  const [item] = (await ow.actions.list({ limit: 200 })).filter(one => one.namespace === 'guest/p-pack')
  assert.equal((await ow.actions.get(item)).exec.code, GREET)

  const binding = { namespace: '_', name: 'p-pack' }
  await ow.packages.create({ name: 'p-bound', package: { binding, parameters: [{ key: 'word', value: 'Hola' }] } })
  assert.deepEqual(await invoke('/_/p-bound/greet'), { greeting: 'Hola Ada' })
  const bound = await ow.packages.get('p-bound')
  assert.deepEqual(bound.binding, { namespace: 'guest', name: 'p-pack' })
  assert.deepEqual(pairs(bound.parameters), { word: 'Hola' })

  const shared = await ow.packages.update({ name: 'p-pack', package: { publish: true } })
  assert.deepEqual([shared.publish, shared.version], [true, '0.0.2'])
  const listed = await ow.packages.list({ limit: 200 })
  assert.ok(names(listed).includes('p-pack') && names(listed).includes('p-bound'))
  assert.ok((await ow.packages.list({ count: true })).packages >= 2)
  await refused(ow.packages.delete('p-pack'), 409, /Package not empty \(contains 1 entity\)/)
  await ow.packages.delete('p-bound')
  await ow.actions.delete('p-pack/greet')
  await ow.packages.delete({ packageName: 'p-pack' })
  await refused(ow.packages.get('p-pack'), 404, /requested resource .*does not exist/)
}

groups.triggers = async () => {
  const made = await ow.triggers.create({
    name: 't-one', trigger: { parameters: [{ key: 'word', value: 'Hi' }] }, annotations: { about: 'a trigger' }
  })
  assert.deepEqual(pairs(made.parameters), { word: 'Hi' })
  assert.deepEqual(pairs(made.annotations), { about: 'a trigger' })
  await refused(ow.triggers.create({ name: 't-one' }), 409, /resource already exists/)
  const updated = await ow.triggers.update({ name: 't-one', trigger: { parameters: [{ key: 'word', value: 'Hey' }] } })
  assert.equal(updated.version, '0.0.2')
  assert.deepEqual(pairs((await ow.triggers.get('t-one')).parameters), { word: 'Hey' })
  assert.ok(names(await ow.triggers.list({ limit: 200 })).includes('t-one'))
  assert.ok((await ow.triggers.list({ count: true })).triggers >= 1)
  // Without a rule a fire is accepted, and nothing comes of it.
  assert.deepEqual(Object.keys(await ow.triggers.invoke({ name: 't-one', params: {} })), [])
  await ow.triggers.delete({ triggerName: 't-one' })
  await refused(ow.triggers.invoke('t-one'), 404, /requested resource .*does not exist/)
}

groups.rules = async () => {
  await ow.actions.create(python('r-greet', GREET))
  await ow.triggers.create({ name: 'r-trigger', trigger: { parameters: [{ key: 'word', value: 'Hi' }] } })
  const made = await ow.rules.create({ name: 'r-rule', action: 'r-greet', trigger: '/_/r-trigger' })
  assert.equal(made.status, 'active')
  assert.deepEqual(made.action, { path: 'guest', name: 'r-greet' })
  assert.deepEqual(made.trigger, { path: 'guest', name: 'r-trigger' })

  const since = Date.now() - 1000
  const fired = await ow.triggers.invoke({ name: 'r-trigger', params: { name: 'Ada' } })
  const [started] = await eventually(() => ow.activations.list({ name: 'r-greet', since, docs: true }), list => list.length)
  assert.deepEqual(started.response.result, { greeting: 'Hi Ada' })
  const record = await eventually(() => ow.activations.get(fired.activationId))
  assert.equal(record.name, 'r-trigger')
  const entry = JSON.parse(record.logs[0])
  assert.deepEqual([entry.rule, entry.action, entry.success], ['guest/r-rule', 'guest/r-greet', true])
  assert.equal(entry.activationId, started.activationId)

  await ow.rules.disable({ name: 'r-rule' })
  assert.equal((await ow.rules.get('r-rule')).status, 'inactive')
  assert.deepEqual(Object.keys(await ow.triggers.invoke('r-trigger')), [])
  await ow.rules.enable({ ruleName: 'r-rule' })
  assert.equal((await ow.rules.get('r-rule')).status, 'active')
  const updated = await ow.rules.update({ name: 'r-rule', action: '/_/r-greet', trigger: 'r-trigger' })
  assert.deepEqual([updated.version, updated.status], ['0.0.2', 'active'])
  assert.ok(names(await ow.rules.list({ limit: 200 })).includes('r-rule'))
  assert.ok((await ow.rules.list({ count: true })).rules >= 1)
  await refused(ow.rules.create({ name: 'r-lost', action: 'r-none', trigger: 'r-trigger' }), 400,
    /action \/guest\/r-none does not exist/)
  await ow.rules.delete('r-rule')
  await ow.triggers.delete('r-trigger')
  await ow.actions.delete('r-greet')
  await refused(ow.rules.get('r-rule'), 404, /requested resource .*does not exist/)
}

groups.feeds = async () => {
  const feed = 'def main(args):\n    return {"said": [args["lifecycleEvent"], args["triggerName"], args.get("every")]}\n'
  await ow.actions.create(python('f-feed', feed, { annotations: { feed: true } }))
  await ow.triggers.create({ name: 'f-trigger', annotations: { feed: '/_/f-feed' } })
  for (const [call, event] of [['create', 'CREATE'], ['get', 'READ'], ['update', 'UPDATE'], ['delete', 'DELETE']]) {
    const run = await ow.feeds[call]({ name: 'f-feed', trigger: 'f-trigger', params: { every: 5 } })
    assert.deepEqual(run.response.result.said, [event, '/_/f-trigger', 5])
  }
  await ow.triggers.delete('f-trigger')
  await ow.actions.delete('f-feed')
}

groups.alarms = async () => {
  const feed = { name: '/whisk.system/alarms/interval', trigger: '/guest/l-trigger' }
  await ow.actions.create(python('l-greet', GREET))
  await ow.triggers.create({ name: 'l-trigger', annotations: { feed: feed.name } })
  await ow.rules.create({ name: 'l-rule', action: 'l-greet', trigger: 'l-trigger' })
  await ow.feeds.create({ ...feed, params: { minutes: 1, trigger_payload: { name: 'Ada' } } })
  const { response } = await ow.feeds.get(feed)
  assert.equal(response.result.config.minutes, 1)
  await ow.feeds.delete(feed)
  await ow.rules.delete('l-rule')
  await ow.triggers.delete('l-trigger')
  await ow.actions.delete('l-greet')
}

groups.activations = async () => {
  await ow.actions.create(python('v-greet', GREET))
  const since = Date.now() - 1000
  const { activationId } = await ow.actions.invoke({ name: 'v-greet', params: { name: 'Ada' } })
  const record = await eventually(() => ow.activations.get({ name: activationId }))
  assert.deepEqual(record.response.result, { greeting: 'Hello Ada' })
  const { logs } = await ow.activations.logs({ activation: activationId })
  assert.match(logs[0], /^\S+Z +stdout: greeting Ada$/)
  const result = await ow.activations.result({ activationId })
  assert.deepEqual([result.result, result.success, result.status], [{ greeting: 'Hello Ada' }, true, 'success'])

  const [listed] = await ow.activations.list({ name: 'v-greet', since, limit: 1, skip: 0 })
  assert.deepEqual([listed.activationId, listed.logs], [activationId, undefined])
  const [whole] = await ow.activations.list({ name: 'v-greet', since, docs: true })
  assert.deepEqual(whole.logs, logs)
  assert.deepEqual(await ow.activations.list({ name: 'v-greet', upto: since }), [])
  assert.deepEqual(await ow.activations.list({ name: 'v-greet', since, count: true }), { activations: 1 })
  await refused(ow.activations.get('0'.repeat(32)), 404, /requested resource .*does not exist/)
  await refused(ow.activations.get('0'), 400, /Activation id length is 1 but must be 32/)
  await ow.actions.delete('v-greet')
}

groups.namespaces = async () => {
  assert.deepEqual(await ow.namespaces.list(), ['guest'])
  await ow.actions.create(python('n-greet', GREET))
  const found = await ow.namespaces.get({ namespace: 'guest' })
  assert.deepEqual(Object.keys(found), ['actions', 'packages', 'triggers', 'rules'])
  assert.ok(names(found.actions).includes('n-greet'))
  await ow.actions.delete('n-greet')
  const stranger = openwhisk({ apihost: process.env.__OW_API_HOST, api_key: 'no:body' })
  await refused(stranger.namespaces.list(), 401, /authentication is invalid/)
  await refused(ow.actions.list({ namespace: 'stranger' }), 403, /not authorized/)
}

groups.routes = async () => {
  const echo = 'def main(args):\n    return {"body": {"method": args["__ow_method"], "path": args["__ow_path"]}}\n'
  await ow.actions.create(python('w-books', echo, { annotations: { 'web-export': true } }))
  const route = { basepath: '/library', relpath: '/books/{isbn}', operation: 'get', action: 'w-books', responsetype: 'http' }
  const made = await ow.routes.create({ ...route, name: 'Library' })
  const url = made.gwApiUrl
  const answer = await fetch(`${url}/books/42`)
  assert.deepEqual([answer.status, await answer.json()], [200, { method: 'get', path: '/library/books/42' }])

  await ow.routes.create({ ...route, name: 'Library', operation: 'delete' })
  const { apis } = await ow.routes.get({ basepath: '/library' })
  assert.equal(apis.length, 1)
  assert.deepEqual(Object.keys(apis[0].value.apidoc.paths['/books/{isbn}']).sort(), ['delete', 'get'])
  assert.equal((await ow.routes.list({ name: 'Library' })).apis.length, 1)
  assert.ok((await ow.routes.list()).apis.length >= 1)
  await ow.routes.delete({ basepath: '/library', relpath: '/books/{isbn}', operation: 'get' })
  assert.notEqual((await fetch(`${url}/books/42`)).status, 200)
  await ow.routes.delete({ name: 'Library' })
  assert.deepEqual((await ow.routes.list({ basepath: '/library' })).apis, [])

  const swagger = apis[0].value.apidoc
  const whole = await ow.routes.create({ swagger: JSON.stringify({ ...swagger, basePath: '/archive' }) })
  assert.equal((await (await fetch(`${whole.gwApiUrl}/books/7`)).json()).path, '/archive/books/7')
  await ow.routes.delete({ basepath: '/archive' })
  await ow.actions.delete('w-books')
}

groups.workflows = async () => {
  const flow = `
dataflow: 1
steps:
  greet: {action: d-greet, inputs: $run}
  shout: {action: d-shout, inputs: {greeting: greet.greeting}}
result: shout
`
  await ow.actions.create(python('d-greet', GREET))
  await ow.actions.create(python('d-shout', SHOUT))
  const made = await ow.actions.create({ name: 'd-flow', action: flow, kind: 'dataflow:1' })
  assert.equal(made.exec.kind, 'dataflow:1')
  assert.equal((await ow.actions.get('d-flow')).exec.code, flow)
  const run = await ow.actions.invoke({ name: 'd-flow', params: { name: 'Ada' }, blocking: true })
  assert.deepEqual(run.response.result, { greeting: 'HELLO ADA' })
  assert.equal(run.logs.length, 2)
  await refused(ow.actions.update({ name: 'd-flow', action: 'dataflow: 1', kind: 'dataflow:1' }), 400, /steps/)
  await ow.actions.delete(['d-flow', 'd-greet', 'd-shout'])
}

const [name] = process.argv.slice(2)
groups[name]().then(() => console.log(`${name}: ok`), error => {
  console.error(error)
  process.exitCode = 1
})
