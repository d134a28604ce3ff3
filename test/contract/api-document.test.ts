/** The served document against the server: the same routes on both sides, and readable with a token only. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
let document: { paths: Record<string, Record<string, unknown>> }

before(async () => {
  server = await testServer()
  document = answered(await server.admin.get('openapi.json'), 200)
})
after(() => server.close())

const METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const

/** `GET /v2.0/networks/{}` of everything the router knows, read from the tree it prints; parameters without names. */
function served(): string[] {
  const found: string[] = []
  const prefix: string[] = []
  for (const line of server.app.printRoutes({ commonPrefix: false }).split('\n')) {
    const match = /^([│ ]*)[├└]── (\S+)(?: \(([A-Z, ]+)\))?$/.exec(line)
    if (!match) continue
    const [, indent = '', part = '', methods = ''] = match
    prefix.splice(indent.length / 4)
    prefix.push(part)
    const path = prefix
      .join('')
      .replaceAll('//', '/')
      .replaceAll(/:\w+(\|:\w+)*/g, '{}')
    for (const method of methods.split(', ').filter(Boolean)) found.push(`${method} ${path}`)
  }
  return found
}

test('every route is in the document, and every documented route is served', () => {
  const documented = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method.toLowerCase() in item).map((method) => `${method} ${path}`),
  )
  for (const one of documented) {
    const [method = 'GET', path = ''] = one.split(' ')
    const url = path.replaceAll(/\{(\w+)\}/g, ':$1')
    assert.ok(server.app.hasRoute({ method: method as 'GET', url }), `${one} is documented and not served`)
  }
  const known = new Set(documented.map((one) => one.replaceAll(/\{\w+\}/g, '{}')))
  const routes = served()
  assert.ok(routes.length > 30, routes.join('\n'))
  for (const route of routes) assert.ok(known.has(route), `${route} is served and not documented`)
})

test('the page is HTML in itself', async () => {
  const page = await server.admin.get('docs')
  assert.equal(page.status, 200)
  assert.match(String(page.headers['content-type']), /^text\/html; charset=utf-8/)
  assert.match(page.text, /^<!doctype html>/)
})

test('what the server answers has only what the document shows', async () => {
  const network = await server.admin.make('network', {})
  const on = { network_id: network['id'] }
  const made = {
    network,
    subnet: await server.admin.make('subnet', { ...on, cidr: '10.0.0.0/24', ip_version: 4 }),
    port: await server.admin.make('port', on),
    security_group: await server.admin.make('security_group', {}),
  }
  const schemas = (document as unknown as { components: { schemas: Record<string, { properties: object }> } })
    .components.schemas
  for (const [name, object] of Object.entries(made)) {
    const schema = schemas[name.replaceAll(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())]
    assert.deepEqual(Object.keys(object).sort(), Object.keys(schema?.properties ?? {}).sort(), name)
  }
})
