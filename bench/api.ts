/** The API's figures: networks, subnets and ports at 1 and 16 clients, bulk, lists, memory. */
import { type Call, type Client, createClient, type Measured, measure } from './load.ts'
import type { BenchServer } from './server.ts'

export interface ApiBenchOptions {
  readonly server: BenchServer
  /** Multiplies the request counts. */
  readonly scale: number
  readonly report: (measured: Measured) => void
}

const ids = (answers: readonly { text: string }[], kind: string): string[] =>
  answers.flatMap(({ text }) => {
    const body = JSON.parse(text || '{}') as Record<string, { id: string }>
    return body[kind] ? [body[kind].id] : []
  })

export async function benchApi({ server, scale, report }: ApiBenchOptions): Promise<void> {
  const client = createClient(server.url, server.token, 16)
  const n = (count: number): number => Math.max(4, Math.round(count * scale))
  const run = async (name: string, clients: number, calls: readonly Call[]): Promise<string[]> => {
    const { measured, answers } = await measure(client, { name, clients, calls, cpu: server.cpu })
    report(measured)
    return answers.map((one) => one.text)
  }
  const both = async (name: string, make: (index: number) => Call, one: number, many: number): Promise<string[]> => [
    ...(await run(
      name,
      1,
      Array.from({ length: one }, (_, index) => make(index)),
    )),
    ...(await run(
      name,
      16,
      Array.from({ length: many }, (_, index) => make(one + index)),
    )),
  ]
  const parsed = (texts: readonly string[], kind: string): string[] =>
    ids(
      texts.map((text) => ({ text })),
      kind,
    )

  await client.call({
    method: 'PUT',
    path: `/quotas/${server.projectId}`,
    body: { quota: { network: -1, subnet: -1, port: -1, security_group: -1 } },
  })
  const networks = parsed(
    await both(
      'network create',
      (index) => ({ method: 'POST', path: '/networks', body: { network: { name: `n${index}` } } }),
      n(200),
      n(1000),
    ),
    'network',
  )
  const subnet = (id: string, cidr: string, dhcp = true): Call => ({
    method: 'POST',
    path: '/subnets',
    body: { subnet: { network_id: id, ip_version: 4, cidr, enable_dhcp: dhcp } },
  })
  const subnets = parsed(
    await both('subnet create', (index) => subnet(networks[index] as string, '10.0.0.0/24'), n(200), n(1000)),
    'subnet',
  )
  const wide = await network(client, 'wide')
  await client.call(subnet(wide, '10.64.0.0/12'))
  const port = (index: number): Call => ({
    method: 'POST',
    path: '/ports',
    body: { port: { network_id: wide, name: `p${index}` } },
  })
  await run(
    'port create (warm-up)',
    16,
    Array.from({ length: n(200) }, (_, index) => port(index)),
  )
  const ports = parsed(await both('port create', port, n(500), n(3000)), 'port')
  await both(
    'port show',
    (index) => ({ method: 'GET', path: `/ports/${ports[index % ports.length]}` }),
    n(500),
    n(3000),
  )
  await both(
    'port update',
    (index) => ({
      method: 'PUT',
      path: `/ports/${ports[index % ports.length]}`,
      body: { port: { name: `x${index}` } },
    }),
    n(300),
    n(1500),
  )
  await both(
    'network show',
    (index) => ({ method: 'GET', path: `/networks/${networks[index % networks.length]}` }),
    n(300),
    n(1500),
  )
  await both(
    'network update',
    (index) => ({
      method: 'PUT',
      path: `/networks/${networks[index % networks.length]}`,
      body: { network: { name: `y${index}` } },
    }),
    n(200),
    n(1000),
  )
  await both(
    'subnet show',
    (index) => ({ method: 'GET', path: `/subnets/${subnets[index % subnets.length]}` }),
    n(300),
    n(1500),
  )
  await both(
    'subnet update',
    (index) => ({
      method: 'PUT',
      path: `/subnets/${subnets[index % subnets.length]}`,
      body: { subnet: { name: `z${index}` } },
    }),
    n(200),
    n(1000),
  )
  const doomed = [...ports]
  await both('port delete', () => ({ method: 'DELETE', path: `/ports/${doomed.pop()}` }), n(300), n(1500))
  await both('subnet delete', () => ({ method: 'DELETE', path: `/subnets/${subnets.pop()}` }), n(100), n(400))
  await both('network delete', () => ({ method: 'DELETE', path: `/networks/${networks.pop()}` }), n(100), n(400))
  await benchLists(client, run, n)
  client.close()
}

async function network(client: Client, name: string): Promise<string> {
  const { text } = await client.call({ method: 'POST', path: '/networks', body: { network: { name } } })
  return (JSON.parse(text) as { network: { id: string } }).network.id
}

type Run = (name: string, clients: number, calls: readonly Call[]) => Promise<string[]>

/** Lists of one network's ports: 1,000, then 10,000. */
async function benchLists(client: Client, run: Run, n: (count: number) => number): Promise<void> {
  const id = await network(client, 'lists')
  await client.call({
    method: 'POST',
    path: '/subnets',
    body: { subnet: { network_id: id, ip_version: 4, cidr: '10.32.0.0/12', enable_dhcp: false } },
  })
  const bulk: Call = {
    method: 'POST',
    path: '/ports',
    body: { ports: Array.from({ length: 100 }, (_, index) => ({ network_id: id, name: `b${index}` })) },
  }
  const repeat = (call: Call, count: number): Call[] => Array.from({ length: count }, () => call)
  const all: Call = { method: 'GET', path: `/ports?network_id=${id}` }
  await run('port bulk create ×100', 1, repeat(bulk, 10))
  await run('port list 1,000', 1, repeat(all, n(20)))
  await run('port list 1,000', 16, repeat(all, n(60)))
  await run('port list 1,000 fields=id', 1, repeat({ ...all, path: `${all.path}&fields=id` }, n(30)))
  await run('port bulk create ×100', 16, repeat(bulk, 90))
  await run('port list 10,000', 1, repeat(all, n(8)))
  await run('port list page of 100', 1, repeat({ ...all, path: `${all.path}&limit=100&sort_key=id` }, n(100)))
  await run('port list page of 100', 16, repeat({ ...all, path: `${all.path}&limit=100&sort_key=id` }, n(500)))
  await run('port list by name', 1, repeat({ ...all, path: `${all.path}&name=b7` }, n(100)))
}
