/** What a change costs: ports change files and wake the server; programs run only where devices may be wrong. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '#kernel/log.ts'
import { createDhcp } from './dhcp.ts'
import { type DhcpWant, dhcpDevice } from './dhcp-want.ts'
import type { LinkFacts, LinuxPort } from './port.ts'

const NETWORK = '0d5c7a5e-1111-4222-8333-444455556666'
const DEVICE = dhcpDevice(NETWORK)
const PID = 4711

/** A host of one namespace: `calls` are programs, and looks at devices, which are programs too. */
function fakeHost() {
  const files = new Map<string, string>()
  const calls: string[] = []
  const signals: string[] = []
  let server: readonly string[] | null = null
  let namespace: string | null = null
  let home: LinkFacts | null = { mac: '', mtu: 1500, up: false, addresses: [] }
  let inside: LinkFacts | null = null
  const link = (): LinkFacts => inside ?? assert.fail('the device is not in the namespace')
  const host: LinuxPort = {
    run: async (program, args) => {
      calls.push([program, ...args].join(' '))
      if (args.includes('netns') && args[1] === 'add') namespace = args[2] ?? null
      if (args[0] === 'link') [home, inside] = [null, { mac: '', mtu: 1500, up: false, addresses: [] }]
      const conf = args.find((one) => one.startsWith('--conf-file='))
      if (args.includes('dnsmasq') && conf) {
        server = ['dnsmasq', conf]
        const pidFile = /^pid-file=(.*)$/m.exec(files.get(conf.slice('--conf-file='.length)) ?? '')?.[1]
        files.set(pidFile ?? assert.fail('no pid file'), String(PID))
      }
      return ''
    },
    ip: async (_, commands) => {
      calls.push(...commands)
      for (const command of commands) {
        const [, mac, mtu] = /address (\S+) mtu (\d+) up/.exec(command) ?? []
        if (mac) inside = { ...link(), mac, mtu: Number(mtu), up: true }
        const [, address] = /^address replace (\S+)/.exec(command) ?? []
        if (address) inside = { ...link(), addresses: [...link().addresses, address] }
      }
    },
    link: async (where) => {
      calls.push(`look at ${where === null ? 'home' : 'the namespace'}`)
      return where === null ? home : inside
    },
    namespaces: async () => (namespace === null ? [] : [namespace]),
    namespaceId: async (name) => (name === namespace ? 1 : null),
    namespaceOf: async () => 1,
    commandOf: async () => server,
    devices: async () => new Set(home ? [DEVICE] : []),
    carries: async (_, device, addresses) =>
      device === DEVICE && addresses.every((one) => inside?.addresses.includes(one)),
    signal: (_, signal) => void signals.push(signal),
    read: async (path) => files.get(path) ?? null,
    write: async (path, text) => void files.set(path, text),
    list: async () => [],
    remove: async (path) => void files.delete(path),
  }
  const drop = (address: string): void => {
    inside = { ...link(), addresses: link().addresses.filter((one) => one !== address) }
  }
  const text = (name: string): string => [...files].find(([path]) => path.endsWith(`/${name}`))?.[1] ?? ''
  return { host, calls, signals, drop, text }
}

const want = (macs: readonly string[], more: Partial<DhcpWant> = {}): DhcpWant => ({
  networkId: NETWORK,
  device: DEVICE,
  mac: 'fa:16:3e:dd:dd:dd',
  mtu: 1442,
  addresses: ['10.0.0.2/24'],
  subnets: [],
  domain: 'openstacklocal',
  leases: macs.map((mac, index) => ({ mac, ip: `10.0.0.${10 + index}`, hostname: `vm${index}`, clientId: null })),
  macs,
  options: [],
  leftOut: [],
  ...more,
})

test('ports that come and go run no program; devices are asked for when they may be wrong', async () => {
  const { host, calls, signals, drop, text } = fakeHost()
  const dhcp = createDhcp({ stateDir: '/var/lib/v', hostTag: 'v', log: silentLogger, host, watchMs: 3_600_000 })
  const [one, two] = ['fa:16:3e:00:00:01', 'fa:16:3e:00:00:02']
  const settle = async (next: DhcpWant): Promise<readonly string[]> => {
    calls.splice(0)
    signals.splice(0)
    assert.deepEqual([...(await dhcp.reconcile([next], false)).values()], [null])
    return [...calls]
  }
  const first = await settle(want([one]))
  assert.ok(first.some((call) => call.includes('dnsmasq')))
  assert.ok(first.includes('look at home'))

  assert.deepEqual(await settle(want([one, two])), [])
  assert.deepEqual(signals, ['SIGHUP'])
  assert.match(text('hosts'), new RegExp(two))
  assert.deepEqual(await settle(want([two])), [])
  assert.doesNotMatch(text('hosts'), new RegExp(one))

  assert.ok(
    (await settle(want([two], { mtu: 1400 }))).includes(`link set dev ${DEVICE} address ${want([]).mac} mtu 1400 up`),
  )
  drop('10.0.0.2/24')
  const repaired = await settle(want([one, two], { mtu: 1400 }))
  assert.ok(repaired.includes(`address replace 10.0.0.2/24 dev ${DEVICE}`), 'it is looked for before it is believed')
  await dhcp.close()
})
