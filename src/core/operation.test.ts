import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { extensions } from '#extensions/index.ts'
import { openvswitchDriver } from '#drivers/mechanism/openvswitch.ts'
import { localDriver } from '#drivers/type/local.ts'
import { tunnelDriver } from '#drivers/type/tunnel.ts'
import { silentLogger } from '#kernel/log.ts'
import { compose } from '#model/compose.ts'
import { createPolicy } from '#policy/policy.ts'
import { coreResources } from '#resources/index.ts'
import { currentEra } from '#store/era.ts'
import { migrate } from '#store/migrate.ts'
import { openDatabase, type Database } from '#store/pool.ts'
import { inTransaction } from '#store/transaction.ts'
import pg from 'pg'
import { testDatabase } from '../../test/lib/postgres.ts'
import { SYSTEM } from './agents.ts'
import { type Core, createObjects, deleteObject, type Request, updateObject } from './operation.ts'
import { seedPools } from './segments.ts'
import { showObject } from './read.ts'

let core: Core
let database: Database
let db: Awaited<ReturnType<typeof testDatabase>>
const request: Request = {
  caller: { ...SYSTEM, projectId: 'p1' },
  requestId: 'req-1',
  idempotency: null,
  ifRevision: null,
  dryRun: false,
}

before(async () => {
  db = await testDatabase()
  const client = new pg.Client({ connectionString: db.url })
  await client.connect()
  await migrate(client)
  await client.end()
  database = openDatabase({ url: db.url, size: 20, log: silentLogger, agentDownTime: 75 })
  const model = compose([...coreResources], extensions)
  const settings = {
    segments: {
      drivers: new Map([tunnelDriver('vxlan', [{ first: 1, last: 1000 }]), localDriver].map((one) => [one.type, one])),
      tenantTypes: ['vxlan'],
      physicalMtu: 1500,
    },
    mechanismDrivers: [openvswitchDriver],
    limits: { maxDnsNameservers: 5, maxHostRoutes: 20, maxAllowedAddressPairs: 10 },
    quotas: { network: 100, subnet: 100, port: 500, security_group: 10, security_group_rule: 100 },
    baseMac: 'fa:16:3e:00:00:00',
    dnsDomain: 'openstacklocal',
    idempotencyRetention: 86400,
  }
  const era = await inTransaction(database, async (tx) => ({ value: await currentEra(tx) }))
  await inTransaction(database, async (tx) => ({ value: await seedPools(tx, settings.segments) }))
  core = {
    database,
    model,
    policy: createPolicy({ enforceNewDefaults: false, enforceScope: false }),
    settings,
    notifier: { poke: () => undefined },
    era,
  }
})
after(async () => {
  await database?.close()
  await db?.drop()
})

const make = async (kind: string, values: object) => {
  const resource = core.model.resource(kind)
  return JSON.parse((await createObjects(core, resource, { [kind]: values }, request)).body)[kind]
}

test('a network, a subnet, a port', async () => {
  const network = await make('network', { name: 'n' })
  assert.equal(network['provider:network_type'], 'vxlan')
  assert.equal(network.mtu, 1450)
  const subnet = await make('subnet', { network_id: network.id, cidr: '10.0.0.0/24', ip_version: 4 })
  assert.equal(subnet.gateway_ip, '10.0.0.1')
  const port = await make('port', { network_id: network.id })
  assert.equal(port.fixed_ips.length, 1)
  const shown = JSON.parse(
    await showObject(core, core.model.resource('port'), port.id, request.caller, {
      fields: undefined,
      asOf: undefined,
    }),
  )
  assert.deepEqual(shown, port)
  const updated = JSON.parse(
    (await updateObject(core, core.model.resource('port'), port.id, { port: { name: 'x' } }, request)).body,
  ).port
  assert.equal(updated.revision_number, 2)
  console.log(port, subnet, network)
  await deleteObject(core, core.model.resource('port'), port.id, request)
  await deleteObject(core, core.model.resource('network'), network.id, request)
})
