/** What the API stores for DHCP is what hosts are told, attribute by attribute, and each change is a change to them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { recompute } from '#feed/recompute.ts'
import type { NetworkObject, PortObject } from '#wire/objects.ts'
import { hostReports } from '../lib/agents.ts'
import { answered } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

let server: TestServer
before(async () => {
  server = await testServer({ settings: { dnsDomain: 'cloud.example' } })
})
after(() => server.close())

test('DHCP options of a port and the domain of its network reach its host', async () => {
  await hostReports(server, 'h1')
  const network = await server.admin.make('network', {})
  const subnet = { network_id: network['id'], ip_version: 4, cidr: '10.0.0.0/24' }
  await server.admin.make('subnet', subnet)
  const port = await server.admin.make('port', {
    network_id: network['id'],
    'binding:host_id': 'h1',
    extra_dhcp_opts: [{ opt_name: 'bootfile-name', opt_value: 'a.0' }],
  })
  const told = async (): Promise<{ port: PortObject; network: NetworkObject }> => {
    const world = await recompute(server.database, 'h1', server.settings.dnsDomain)
    const [its, net] = [world.get(`port/${port['id']}`), world.get(`network/${network['id']}`)]
    return { port: its as PortObject, network: net as NetworkObject }
  }
  const option = (opt_name: string, opt_value: string, ip_version = 4) => ({ opt_name, opt_value, ip_version })
  const first = await told()
  assert.deepEqual(first.port.extra_dhcp_opts, [option('bootfile-name', 'a.0')])
  assert.equal(first.network.dns_domain, 'cloud.example')

  const given = [option('59', 'tftp://[fd00::1]/a', 6), option('router', ''), { opt_name: '26', opt_value: '1400' }]
  answered(await server.admin.put(`ports/${port['id']}`, { port: { extra_dhcp_opts: given } }), 200)
  const more = await told()
  const all = [option('bootfile-name', 'a.0'), option('59', given[0]?.opt_value ?? '', 6), option('router', '')]
  assert.deepEqual(more.port.extra_dhcp_opts, [...all, option('26', '1400')])
  assert.ok(more.port.generation > first.port.generation)

  const gone = all.map(({ opt_name, ip_version }) => ({ opt_name, ip_version, opt_value: null }))
  answered(await server.admin.put(`ports/${port['id']}`, { port: { extra_dhcp_opts: gone } }), 200)
  assert.deepEqual((await told()).port.extra_dhcp_opts, [option('26', '1400')])

  const rename = (dns_domain: string) => server.admin.put(`networks/${network['id']}`, { network: { dns_domain } })
  answered(await rename('red.example.'), 200)
  const renamed = await told()
  assert.equal(renamed.network.dns_domain, 'red.example')
  assert.ok(renamed.network.generation > first.network.generation)
  answered(await rename(''), 200)
  assert.equal((await told()).network.dns_domain, 'cloud.example')
})

test('what would be more than a value in a line of options is refused', async () => {
  const network = await server.admin.make('network', {})
  for (const opt_value of ['a\nb', 'a\r', 'a\u0000', '\u007f', '']) {
    const extra_dhcp_opts = [{ opt_name: 'bootfile-name', opt_value }]
    const { status } = await server.admin.post('ports', { port: { network_id: network['id'], extra_dhcp_opts } })
    assert.equal(status, 400, JSON.stringify(opt_value))
  }
})
