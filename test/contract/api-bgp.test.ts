/** BGP speakers and peers: who speaks with whom, for which networks, and what is advertised. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { agentsOf, hostReports } from '../lib/agents.ts'
import { answered, refused } from '../lib/refused.ts'
import { type TestServer, testServer } from '../lib/server.ts'

type Item = Record<string, any>
const NOWHERE = '00000000-0000-4000-8000-000000000000'

let server: TestServer
before(async () => {
  server = await testServer()
})
after(() => server.close())

const make = async (kind: 'bgp_speaker' | 'bgp_peer', values: Item): Promise<Item> =>
  answered(await server.admin.post(`${kind.replace('_', '-')}s`, { [kind]: values }), 201)[kind]
const speaker = (more: Item = {}): Promise<Item> => make('bgp_speaker', { local_as: '1234', ip_version: 4, ...more })
const peer = (more: Item = {}): Promise<Item> =>
  make('bgp_peer', { remote_as: 4_294_967_295, peer_ip: '192.0.2.1', auth_type: 'none', ...more })
const act = (one: Item, name: string, body: Item) => server.admin.put(`bgp-speakers/${one['id']}/${name}`, body)
const routesOf = async (one: Item): Promise<string[]> => {
  const { advertised_routes } = answered(await server.admin.get(`bgp-speakers/${one['id']}/get_advertised_routes`), 200)
  return advertised_routes.map((route: Item) => `${route['destination']} via ${route['next_hop']}`).toSorted()
}

test('speakers and peers are made, changed and deleted by administrators', async () => {
  const made = await speaker({ name: 's' })
  assert.deepEqual(
    [made['local_as'], made['peers'], made['networks'], made['advertise_tenant_networks']],
    [1234, [], [], true],
  )
  const at = `bgp-speakers/${made['id']}`
  const changed = answered(await server.admin.put(at, { bgp_speaker: { advertise_tenant_networks: false } }), 200)
  assert.equal(changed.bgp_speaker.advertise_tenant_networks, false)
  refused(await server.admin.put(at, { bgp_speaker: { local_as: 5 } }), 'HTTPBadRequest')
  for (const local_as of [0, 4_294_967_296, 'x'])
    refused(await server.admin.post('bgp-speakers', { bgp_speaker: { local_as, ip_version: 4 } }), 'HTTPBadRequest')
  const body = { bgp_speaker: { local_as: 1, ip_version: 4 } }
  refused(await server.as('p1').post('bgp-speakers', body), 'PolicyNotAuthorized')
  answered(await server.admin.delete(at), 204)
  refused(await server.admin.get(at), 'BgpSpeakerNotFound')
})

test('a password goes in and never comes out, and outlives what does not name it', async () => {
  const stored = async (id: string): Promise<string | null> => {
    const rows = await server.database.query<{ password: string | null }>(
      'select password from bgp_peers where id = $1',
      [id],
    )
    return rows[0]?.password ?? null
  }
  const keyed = { remote_as: 1, peer_ip: '192.0.2.2', auth_type: 'md5' }
  refused(await server.admin.post('bgp-peers', { bgp_peer: keyed }), 'InvalidBgpPeerMd5Authentication')
  const made = await make('bgp_peer', { ...keyed, password: 'hidden-word' })
  assert.ok(!('password' in made))
  const at = `bgp-peers/${made['id']}`
  answered(await server.admin.put(at, { bgp_peer: { name: 'renamed' } }), 200)
  assert.equal(await stored(made['id']), 'hidden-word')
  answered(await server.admin.put(at, { bgp_peer: { password: 'other-word' } }), 200)
  assert.equal(await stored(made['id']), 'other-word')
  const [logged] = await server.database.query<{ n: number }>(
    "select count(*)::int as n from change where coalesce(before::text, '') || coalesce(after::text, '') like '%-word%'",
  )
  assert.equal(logged?.n, 0)
  const open = await peer()
  refused(await server.admin.put(`bgp-peers/${open['id']}`, { bgp_peer: { password: 'x' } }), 'BgpPeerNotAuthenticated')
})

test('one peer per address; what is not tied cannot be removed; a peer that goes leaves its speakers', async () => {
  const [one, first, same] = [
    await speaker(),
    await peer({ peer_ip: '192.0.2.9' }),
    await peer({ peer_ip: '192.0.2.9' }),
  ]
  assert.deepEqual(answered(await act(one, 'add_bgp_peer', { bgp_peer_id: first['id'] }), 200), {
    bgp_peer_id: first['id'],
  })
  for (const other of [first, same])
    refused(await act(one, 'add_bgp_peer', { bgp_peer_id: other['id'] }), 'DuplicateBgpPeerIpException')
  refused(await act(one, 'add_bgp_peer', { bgp_peer_id: NOWHERE }), 'BgpPeerNotFound')
  refused(await act(one, 'add_bgp_peer', {}), 'BadRequest', /bgp_peer_id must be specified/)
  refused(await act(one, 'remove_bgp_peer', { bgp_peer_id: same['id'] }), 'BgpSpeakerPeerNotAssociated')
  const peersOf = async (): Promise<string[]> =>
    answered(await server.admin.get(`bgp-speakers/${one['id']}`), 200).bgp_speaker.peers
  assert.deepEqual(await peersOf(), [first['id']])
  answered(await server.admin.delete(`bgp-peers/${first['id']}`), 204)
  assert.deepEqual(await peersOf(), [])
  const answers = await Promise.all(
    [same, await peer({ peer_ip: '192.0.2.9' })].map((it) => act(one, 'add_bgp_peer', { bgp_peer_id: it['id'] })),
  )
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 409])
})

test('floating IPs are advertised, and subnets of the address scope of the gateway alone', async () => {
  const scopes = await Promise.all(
    ['a', 'b'].map((name) => server.admin.make('address_scope', { name, ip_version: 4 })),
  )
  const block = async (scope: Item | undefined, prefix: string, network: Item): Promise<Item> => {
    const more = scope ? { address_scope_id: scope['id'] } : {}
    const pool = await server.admin.make('subnetpool', {
      name: prefix,
      prefixes: [prefix],
      default_prefixlen: 24,
      ...more,
    })
    return server.admin.make('subnet', { network_id: network['id'], ip_version: 4, subnetpool_id: pool['id'] })
  }
  const outside = await server.admin.make('network', { 'router:external': true })
  await block(scopes[0], '8.0.0.0/16', outside)
  const router = await server.admin.make('router', { external_gateway_info: { network_id: outside['id'] } })
  const gateway = router['external_gateway_info'].external_fixed_ips[0].ip_address
  const inside: Item[] = []
  for (const [scope, prefix] of [
    [scopes[0], '10.10.0.0/16'],
    [scopes[1], '11.10.0.0/16'],
    [undefined, '12.10.0.0/16'],
  ] as const) {
    const network = await server.admin.make('network', {})
    const subnet = await block(scope, prefix, network)
    answered(await server.admin.put(`routers/${router['id']}/add_router_interface`, { subnet_id: subnet['id'] }), 200)
    inside.push({ network, subnet })
  }
  const one = await speaker()
  assert.deepEqual(await routesOf(one), [])
  answered(await act(one, 'add_gateway_network', { network_id: outside['id'] }), 200)
  refused(await act(one, 'add_gateway_network', { network_id: outside['id'] }), 'BgpSpeakerNetworkBindingError')
  const tenant = `${inside[0]?.['subnet'].cidr} via ${gateway}`
  assert.deepEqual(await routesOf(one), [tenant])
  const port = await server.admin.make('port', { network_id: inside[1]?.['network'].id })
  const floating = await server.admin.make('floatingip', { floating_network_id: outside['id'], port_id: port['id'] })
  await server.admin.make('floatingip', { floating_network_id: outside['id'] })
  const host = `${floating['floating_ip_address']}/32 via ${gateway}`
  assert.deepEqual(await routesOf(one), [host, tenant].toSorted())
  answered(
    await server.admin.put(`bgp-speakers/${one['id']}`, { bgp_speaker: { advertise_floating_ip_host_routes: false } }),
    200,
  )
  assert.deepEqual(await routesOf(one), [tenant])
  assert.deepEqual(await routesOf(await speaker({ ip_version: 6 })), [])
  answered(await act(one, 'remove_gateway_network', { network_id: outside['id'] }), 200)
  refused(await act(one, 'remove_gateway_network', { network_id: outside['id'] }), 'BgpSpeakerNetworkNotAssociated')
})

test('an agent has one speaker, and must be one that speaks BGP', async () => {
  await hostReports(server, 'edge', { services: { bgp: {} } })
  const agents = await agentsOf(server, 'edge')
  const at = `agents/${agents['BGP dynamic routing agent']?.['id']}/bgp-drinstances`
  const [one, two] = [await speaker(), await speaker()]
  answered(await server.admin.post(at, { bgp_speaker_id: one['id'] }), 201)
  refused(await server.admin.post(at, { bgp_speaker_id: two['id'] }), 'DrAgentAssociationError')
  refused(await server.admin.post(at, { bgp_speaker_id: NOWHERE }), 'BgpSpeakerNotFound')
  const switching = agents['Open vSwitch agent']?.['id']
  refused(
    await server.admin.post(`agents/${switching}/bgp-drinstances`, { bgp_speaker_id: two['id'] }),
    'DrAgentInvalid',
  )
  assert.equal(answered(await server.admin.get(at), 200).bgp_speakers[0].id, one['id'])
  const { agents: hosting } = answered(await server.admin.get(`bgp-speakers/${one['id']}/bgp-dragents`), 200)
  assert.deepEqual(
    hosting.map((it: Item) => it['host']),
    ['edge'],
  )
  answered(await server.admin.delete(`${at}/${one['id']}`), 204)
  refused(await server.admin.delete(`${at}/${one['id']}`), 'DrAgentNotHostingBgpSpeaker')
})
