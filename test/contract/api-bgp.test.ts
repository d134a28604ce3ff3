/** BGP speakers: their peers and networks, what they advertise, and which agents have them. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { agentsOf, hostReports, silence } from '../lib/agents.ts'
import { connect, inside, type Item, outside, routerOutside } from '../lib/l3.ts'
import { answered, refused } from '../lib/refused.ts'
import { type Client, type Reply, type TestServer, testServer } from '../lib/server.ts'
import { verify } from '../lib/verify.ts'

let server: TestServer
let admin: Client
let owner: Client

before(async () => {
  server = await testServer({
    settings: { quotaNetwork: -1, quotaSubnet: -1, quotaPort: -1, quotaRouter: -1, quotaFloatingip: -1 },
  })
  admin = server.admin
  owner = server.as('p1')
})
after(async () => {
  assert.deepEqual(await verify(server.core), [])
  await server.close()
})

const speaker = (values: Item = {}): Promise<Item> =>
  admin.make('bgp_speaker', { local_as: '1234', ip_version: 4, ...values })
const peer = (values: Item = {}): Promise<Item> =>
  admin.make('bgp_peer', { remote_as: 4321, peer_ip: '192.168.1.1', auth_type: 'none', ...values })
const act = (one: Item, action: string, body: Item): Promise<Reply> =>
  admin.put(`bgp-speakers/${one['id']}/${action}`, body)
const shown = async (one: Item): Promise<Item> =>
  answered(await admin.get(`bgp-speakers/${one['id']}`), 200).bgp_speaker
const routes = async (one: Item): Promise<string[]> =>
  answered(await admin.get(`bgp-speakers/${one['id']}/get_advertised_routes`), 200)
    .advertised_routes.map((route: Item) => `${route['destination']} ${route['next_hop']}`)
    .sort()
const gatewayOf = (router: Item): string[] =>
  router['external_gateway_info'].external_fixed_ips.map((one: Item) => one['ip_address'])

describe('a speaker', () => {
  test('is an administrator’s, with a number of an autonomous system', async () => {
    const one = await speaker({ name: 's', local_as: 4_294_967_295 })
    assert.deepEqual(one, {
      id: one['id'],
      project_id: one['project_id'],
      tenant_id: one['project_id'],
      name: 's',
      local_as: 4_294_967_295,
      ip_version: 4,
      advertise_floating_ip_host_routes: true,
      advertise_tenant_networks: true,
      peers: [],
      networks: [],
    })
    const post = (bgp_speaker: Item, by = admin) => by.post('bgp-speakers', { bgp_speaker })
    refused(await post({ local_as: 4_294_967_296, ip_version: 4 }), 'HTTPBadRequest')
    refused(await post({ local_as: 0, ip_version: 4 }), 'HTTPBadRequest')
    refused(await post({ local_as: 1, ip_version: 5 }), 'HTTPBadRequest')
    refused(await post({ ip_version: 4 }), 'HTTPBadRequest', /local_as/)
    refused(await post({ local_as: 1, ip_version: 4 }, owner), 'PolicyNotAuthorized')
    refused(await owner.get(`bgp-speakers/${one['id']}`), 'BgpSpeakerNotFound')
    const put = (bgp_speaker: Item) => admin.put(`bgp-speakers/${one['id']}`, { bgp_speaker })
    refused(await put({ local_as: 1 }), 'HTTPBadRequest', /read-only/)
    assert.equal(
      answered(await put({ advertise_tenant_networks: false }), 200).bgp_speaker.advertise_tenant_networks,
      false,
    )
    answered(await admin.delete(`bgp-speakers/${one['id']}`), 204)
    refused(await admin.get(`bgp-speakers/${one['id']}`), 'BgpSpeakerNotFound')
  })

  test('has one peer at an address', async () => {
    const [one, a, b, c] = [await speaker(), await peer(), await peer(), await peer({ peer_ip: '2001:db8::1' })]
    const add = (it: Item) => act(one, 'add_bgp_peer', { bgp_peer_id: it['id'] })
    assert.deepEqual(answered(await add(a), 200), { bgp_peer_id: a['id'] })
    refused(await add(a), 'DuplicateBgpPeerIpException')
    refused(await add(b), 'DuplicateBgpPeerIpException', new RegExp(`at 192\\.168\\.1\\.1, .*Peer ${b['id']}`))
    const same = await Promise.all([add(c), add(c)])
    assert.deepEqual(same.map((reply) => reply.status).sort(), [200, 409])
    assert.deepEqual((await shown(one))['peers'].toSorted(), [a['id'], c['id']].toSorted())
    refused(await add({ id: one['id'] }), 'BgpPeerNotFound')
    refused(await act(one, 'add_bgp_peer', {}), 'BadRequest', /bgp_peer_id must be specified/)
    refused(await act(one, 'remove_bgp_peer', { bgp_peer_id: b['id'] }), 'BgpSpeakerPeerNotAssociated')
    answered(await act(one, 'remove_bgp_peer', { bgp_peer_id: a['id'] }), 200)
    answered(await admin.delete(`bgp-peers/${c['id']}`), 204)
    assert.deepEqual((await shown(one))['peers'], [])
    answered(await add(b), 200)
    answered(await admin.delete(`bgp-speakers/${one['id']}`), 204)
    answered(await admin.get(`bgp-peers/${b['id']}`), 200)
  })

  test('advertises for networks, each once', async () => {
    const [one, network] = [await speaker(), await outside(admin)]
    const add = (it: Item) => act(one, 'add_gateway_network', { network_id: it['id'] })
    assert.deepEqual(answered(await add(network), 200), { network_id: network['id'] })
    refused(await add(network), 'BgpSpeakerNetworkBindingError')
    refused(await add({ id: one['id'] }), 'NetworkNotFound')
    assert.deepEqual((await shown(one))['networks'], [network['id']])
    answered(await act(one, 'remove_gateway_network', { network_id: network['id'] }), 200)
    refused(await act(one, 'remove_gateway_network', { network_id: network['id'] }), 'BgpSpeakerNetworkNotAssociated')
    answered(await add(network), 200)
    answered(await admin.delete(`networks/${network['id']}`), 204)
    assert.deepEqual((await shown(one))['networks'], [])
  })
})

test('a peer’s password is kept and never told', async () => {
  const post = (bgp_peer: Item, by = admin) =>
    by.post('bgp-peers', { bgp_peer: { remote_as: 1, peer_ip: '192.0.2.1', ...bgp_peer } })
  refused(await post({ auth_type: 'md5' }), 'InvalidBgpPeerMd5Authentication')
  refused(await post({ auth_type: 'none', peer_ip: 'x' }), 'HTTPBadRequest')
  refused(await post({}), 'HTTPBadRequest', /auth_type/)
  refused(await post({ auth_type: 'none' }, owner), 'PolicyNotAuthorized')
  const secret = answered(await post({ auth_type: 'md5', password: 'hush-hush' }), 201).bgp_peer
  assert.ok(!('password' in secret))
  const rows = await server.database.query<{ row: string }>(
    "select concat(before, after) as row from change where kind = 'bgp_peer'",
  )
  assert.ok(rows.length > 0 && rows.every(({ row }) => !row.includes('hush-hush')))
  const [kept] = await server.database.query('select password from bgp_peers where id = $1', [secret.id])
  assert.deepEqual(kept, { password: 'hush-hush' })
  const renamed = await admin.put(`bgp-peers/${secret.id}`, { bgp_peer: { name: 'n' } })
  assert.equal(answered(renamed, 200).bgp_peer.name, 'n')
  const [still] = await server.database.query('select password from bgp_peers where id = $1', [secret.id])
  assert.deepEqual(still, { password: 'hush-hush' })
  const open = answered(await post({ auth_type: 'none' }), 201).bgp_peer
  refused(await admin.put(`bgp-peers/${open.id}`, { bgp_peer: { password: 'p' } }), 'BgpPeerNotAuthenticated')
})

describe('what is advertised', () => {
  const scoped = async (): Promise<{ scope: Item; pool: (prefix: string) => Promise<Item> }> => {
    const scope = await admin.make('address_scope', { name: 's', ip_version: 4, shared: true })
    const pool = (prefix: string) =>
      admin.make('subnetpool', {
        name: 'p',
        prefixes: [prefix],
        default_prefixlen: 24,
        shared: true,
        address_scope_id: scope['id'],
      })
    return { scope, pool }
  }
  const pooled = async (by: Client, pool: Item, values: Item = {}): Promise<Item> => {
    const network = await by.make('network', values)
    const subnet = await by.make('subnet', { network_id: network['id'], ip_version: 4, subnetpool_id: pool['id'] })
    return { ...network, subnet }
  }

  test('floating IPs, by the gateway of their router', async () => {
    const [one, external, internal] = [await speaker(), await outside(admin), await inside(owner, '10.0.0.0/24')]
    answered(await act(one, 'add_gateway_network', { network_id: external['id'] }), 200)
    const router = await routerOutside(owner, external)
    await connect(owner, router['id'], { subnet_id: internal['subnet'].id })
    const floating = await owner.make('floatingip', { floating_network_id: external['id'] })
    assert.deepEqual(await routes(one), [])
    const port = await owner.make('port', { network_id: internal['id'] })
    answered(await owner.put(`floatingips/${floating['id']}`, { floatingip: { port_id: port['id'] } }), 200)
    const hop = gatewayOf(router)[0]
    assert.deepEqual(await routes(one), [`${floating['floating_ip_address']}/32 ${hop}`])
    const second = await owner.make('floatingip', { floating_network_id: external['id'] })
    const port_forwarding = {
      internal_port_id: port['id'],
      internal_ip_address: port['fixed_ips'][0].ip_address,
      protocol: 'tcp',
      internal_port: 1,
      external_port: 1,
    }
    refused(
      await owner.post(`floatingips/${second['id']}/port_forwardings`, { port_forwarding }),
      'PortHasBindingFloatingIP',
    )
    const other = await owner.make('port', { network_id: internal['id'] })
    const to = { internal_port_id: other['id'], internal_ip_address: other['fixed_ips'][0].ip_address }
    answered(
      await owner.post(`floatingips/${second['id']}/port_forwardings`, {
        port_forwarding: { ...port_forwarding, ...to },
      }),
      201,
    )
    assert.equal((await routes(one)).length, 2)
    const quiet = { bgp_speaker: { advertise_floating_ip_host_routes: false } }
    answered(await admin.put(`bgp-speakers/${one['id']}`, quiet), 200)
    assert.deepEqual(await routes(one), [])
    refused(await owner.get(`bgp-speakers/${one['id']}/get_advertised_routes`), 'BgpSpeakerNotFound')
  })

  test('subnets of the address scope outside, and no others', async () => {
    const { pool } = await scoped()
    const elsewhere = await (await scoped()).pool('11.0.0.0/16')
    const external = await pooled(admin, await pool('8.0.0.0/8'), { 'router:external': true })
    const ours = await pool('10.10.0.0/16')
    const [a, b, c] = [await pooled(owner, ours), await pooled(owner, ours), await pooled(owner, elsewhere)]
    const plain = await inside(owner, '192.168.0.0/24')
    const router = await routerOutside(owner, external)
    for (const network of [a, b, c, plain]) await connect(owner, router['id'], { subnet_id: network['subnet'].id })
    const one = await speaker()
    assert.deepEqual(await routes(one), [])
    answered(await act(one, 'add_gateway_network', { network_id: external['id'] }), 200)
    const hop = gatewayOf(router)[0]
    assert.deepEqual(await routes(one), [a, b].map((network) => `${network['subnet'].cidr} ${hop}`).sort())
    const six = await speaker({ ip_version: 6 })
    answered(await act(six, 'add_gateway_network', { network_id: external['id'] }), 200)
    assert.deepEqual(await routes(six), [])
    answered(await admin.put(`bgp-speakers/${one['id']}`, { bgp_speaker: { advertise_tenant_networks: false } }), 200)
    assert.deepEqual(await routes(one), [])
  })
})

describe('agents', () => {
  const BGP = 'BGP dynamic routing agent'
  const reports = (host: string) => hostReports(server, host, { services: { bgp: {} } })
  const bgpAgent = async (host: string): Promise<Item> => (await agentsOf(server, host))[BGP] as Item
  const hosting = async (one: Item): Promise<string[]> =>
    answered(await admin.get(`bgp-speakers/${one['id']}/bgp-dragents`), 200).agents.map((of: Item) => of['host'])
  const hosted = async (of: Item): Promise<string[]> =>
    answered(await admin.get(`agents/${of['id']}/bgp-drinstances`), 200).bgp_speakers.map((one: Item) => one['id'])
  const give = (of: Item, one: Item): Promise<Reply> =>
    admin.post(`agents/${of['id']}/bgp-drinstances`, { bgp_speaker_id: one['id'] })

  test('have one speaker, given to whoever is free', async () => {
    for (const { id } of answered(await admin.get('bgp-speakers'), 200).bgp_speakers)
      answered(await admin.delete(`bgp-speakers/${id}`), 204)
    const waiting = await speaker()
    assert.deepEqual(await hosting(waiting), [])
    await reports('b1')
    assert.deepEqual(await hosting(waiting), ['b1'])
    const first = await bgpAgent('b1')
    assert.deepEqual(await hosted(first), [waiting['id']])
    const second = await speaker()
    assert.deepEqual(await hosting(second), [])
    refused(await give(first, second), 'DrAgentAssociationError')
    await reports('b2')
    assert.deepEqual(await hosting(second), ['b2'])
    await reports('b3')
    const third = await bgpAgent('b3')
    assert.deepEqual(await hosted(third), [])
    assert.deepEqual(await hosting(await speaker()), ['b3'])
    const gone = await admin.delete(`agents/${third['id']}/bgp-drinstances/${second['id']}`)
    refused(gone, 'DrAgentNotHostingBgpSpeaker')
  })

  test('are each found by one of several speakers that come at once, and by the next when theirs goes', async () => {
    await reports('b5')
    const both = await Promise.all([speaker(), speaker()])
    const [a = [], b = []] = await Promise.all(both.map(hosting))
    assert.deepEqual([...a, ...b], ['b5'])
    const [first, second] = (a.length > 0 ? both : both.toReversed()) as [Item, Item]
    await reports('b6')
    const spare = await bgpAgent('b6')
    for (const id of await hosted(spare))
      answered(await admin.delete(`agents/${spare['id']}/bgp-drinstances/${id}`), 204)
    answered(await give(spare, first), 201)
    answered(await admin.delete(`bgp-speakers/${first['id']}`), 204)
    assert.equal((await hosting(second)).length, 1)
  })

  test('are given and taken speakers by operators', async () => {
    await reports('b4')
    const of = await bgpAgent('b4')
    const [one] = answered(await admin.get('bgp-speakers'), 200).bgp_speakers
    const both = await Promise.all([give(of, one), give(of, one)])
    assert.deepEqual(both.map((reply) => reply.status).sort(), [201, 409])
    assert.deepEqual(await hosted(of), [one.id])
    answered(await admin.delete(`agents/${of['id']}/bgp-drinstances/${one.id}`), 204)
    assert.deepEqual(await hosted(of), [])
    refused(await give(of, { id: of['id'] }), 'BgpSpeakerNotFound')
    const switching = (await agentsOf(server, 'b4'))['Open vSwitch agent'] as Item
    refused(await give(switching, one), 'DrAgentInvalid')
    refused(await admin.delete(`agents/${switching['id']}/bgp-drinstances/${one.id}`), 'DrAgentInvalid')
    answered(await admin.put(`agents/${of['id']}`, { agent: { admin_state_up: false } }), 200)
    refused(await give(of, one), 'DrAgentInvalid')
    refused(await owner.get(`agents/${of['id']}/bgp-drinstances`), 'AgentNotFound')
  })

  test('leave their speakers when they go', async () => {
    const of = await bgpAgent('b1')
    const [had = ''] = await hosted(of)
    await silence(server, 'b1')
    answered(await admin.delete(`agents/${of['id']}`), 204)
    assert.deepEqual(await hosting({ id: had }), [])
    answered(await admin.delete(`bgp-speakers/${had}`), 204)
  })
})
