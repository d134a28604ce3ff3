/**
 * The built-in identity under the stock `openstack` command, over real HTTP. Needs python3-openstackclient; without
 * it the test is skipped and says so.
 */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { type Builtin, createBuiltin } from '#identity/builtin.ts'
import { silentLogger } from '#kernel/log.ts'

const run = promisify(execFile)
const missing = spawnSync('openstack', ['--version']).error
  ? 'the openstack command is not installed (apt-get install python3-openstackclient): its half of the proof is missing'
  : false

/** As the API mounts it: one wildcard, JSON in and out. */
async function serve(identity: Builtin, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  const answer = await identity.handle({
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: request.headers,
    body: text === '' ? undefined : JSON.parse(text),
    remoteAddress: request.socket.remoteAddress ?? '',
  })
  response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
  response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body))
}

interface Cloud {
  /** Runs `openstack …` as a user of a project, parsing its JSON. */
  as(user: string, password: string, project: string): (...words: string[]) => Promise<any>
  readonly identity: Builtin
}

async function withCloud(work: (cloud: Cloud) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'deuteron-identity-'))
  const identity = createBuiltin({ file: join(folder, 'identity.json'), publicUrl: null, log: silentLogger })
  const server = createServer((request, response) => {
    serve(identity, request, response).catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const environment = (user: string, password: string, project: string) => ({
    PATH: process.env['PATH'],
    HOME: folder,
    OS_AUTH_URL: `http://127.0.0.1:${port}/identity`,
    OS_IDENTITY_API_VERSION: '3',
    OS_USERNAME: user,
    OS_PASSWORD: password,
    OS_PROJECT_NAME: project,
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
  })
  const as: Cloud['as'] =
    (user, password, project) =>
    async (...words) => {
      const { stdout } = await run('openstack', words, { env: environment(user, password, project) })
      return stdout.trim() === '' ? null : JSON.parse(stdout)
    }
  try {
    await work({ as, identity })
  } finally {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

test('the stock command makes a tenant and works in it', { skip: missing, timeout: 180_000 }, () =>
  withCloud(async ({ as, identity }) => {
    const admin = as('admin', identity.adminPassword() ?? '', 'admin')
    const json = ['-f', 'json'] as const

    const token = await admin('token', 'issue', ...json)
    const caller = await identity.authenticate({ 'x-auth-token': token.id })
    assert.deepEqual([caller.userName, caller.projectId], ['admin', token.project_id])

    const names = (rows: { Name: string }[]) => rows.map((row) => row.Name).sort()
    assert.deepEqual(names(await admin('project', 'list', ...json)), ['admin', 'demo'])
    const catalog = await admin('catalog', 'list', ...json)
    assert.deepEqual(catalog.map((row: { Type: string }) => row.Type).sort(), ['identity', 'network'])

    const blue = await admin('project', 'create', 'blue', '--description', 'a tenant', ...json)
    assert.equal((await admin('project', 'show', 'blue', ...json)).id, blue.id)
    await admin('user', 'create', 'alice', '--password', 'wonder land', '--project', 'blue', ...json)
    await admin('role', 'add', '--project', 'blue', '--user', 'alice', 'member')
    const assigned = await admin('role', 'assignment', 'list', '--user', 'alice', '--names', ...json)
    assert.deepEqual(
      assigned.map((row: { Role: string; Project: string }) => [row.Role, row.Project]),
      [['member', 'blue@Default']],
    )

    const alice = as('alice', 'wonder land', 'blue')
    const hers = await alice('token', 'issue', ...json)
    assert.equal(hers.project_id, blue.id)
    await assert.rejects(alice('user', 'create', 'mallory', ...json), /identity:create_user.*403/s)
    await assert.rejects(as('alice', 'wrong', 'blue')('token', 'issue', ...json), /requires authentication.*401/s)

    await admin('token', 'revoke', hers.id)
    await assert.rejects(identity.authenticate({ 'x-auth-token': hers.id }))
    await admin('user', 'delete', 'alice')
    await admin('project', 'delete', 'blue')
    assert.deepEqual(names(await admin('user', 'list', ...json)), ['admin', 'demo'])
  }),
)
