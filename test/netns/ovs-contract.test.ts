/** Real Open vSwitch keeps the contract of all data planes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createOvsDataplane } from '#dataplane/ovs/index.ts'
import { silentLogger } from '#kernel/log.ts'
import { connectSwitch, type SwitchClient } from '#protocol/openflow/client.ts'
import type { WireKey } from '#wire/objects.ts'
import { type DataplaneRig, dataplaneContract } from '../contract/dataplane.ts'
import { ovsMissing, startOvs } from '../lib/ovs.ts'

/** VNI and id of the contract's network: a VNI is all the switch knows of it. */
const NETWORKS: Readonly<Record<number, WireKey>> = { 4711: 'network/11111111-0000-4000-8000-000000000001' }

async function rig(): Promise<DataplaneRig> {
  const ovs = await startOvs()
  const stateDir = mkdtempSync(join(tmpdir(), 'dt-'))
  const bridge = ['--may-exist', 'add-br', 'br-int', '--', 'set', 'bridge', 'br-int']
  await ovs.vsctl(...bridge, 'datapath_type=netdev', 'fail_mode=secure', 'protocols=OpenFlow15')
  let writes = 0
  // Another connection's monitor: it is told in full of every change a data plane makes.
  const watcher: SwitchClient = await connectSwitch({ target: ovs.mgmt('br-int'), log: silentLogger })
  await watcher.monitorFlows((updates) => {
    writes += updates.length
  })
  const device = (portId: string): string => `p${portId.slice(-8)}`
  const ofports = async (): Promise<Map<number, string>> => {
    const rows = (
      await ovs.vsctl('--bare', '--columns=ofport,external_ids', '--format=csv', 'list', 'interface')
    ).trim()
    return new Map(
      rows.split('\n').flatMap((row) => {
        const [, ofport, id] = /^(\d+),.*iface-id=([0-9a-f-]+)/.exec(row) ?? []
        return id === undefined ? [] : [[Number(ofport), id] as const]
      }),
    )
  }
  return {
    life: async () =>
      createOvsDataplane({
        host: 'h1',
        stateDir,
        ovsdb: ovs.dbSock,
        datapathType: 'netdev',
        tunnelingIp: '192.0.2.1',
        log: silentLogger,
      }),
    plug: async (portId, mac) => {
      const marks = [`external_ids:iface-id=${portId}`, `external_ids:attached-mac="${mac}"`]
      const add = ['add-port', 'br-int', device(portId), '--', 'set', 'interface', device(portId)]
      await ovs.vsctl(...add, 'type=internal', ...marks)
    },
    unplug: async (portId) => void (await ovs.vsctl('del-port', 'br-int', device(portId))),
    tamper: async (portId) => {
      const [ofport] = [...(await ofports())].find(([, id]) => id === portId) ?? []
      await ovs.ofctl('del-flows', 'br-int', `table=0,in_port=${ofport}`)
    },
    standing: async () => {
      const admitted = await ovs.ofctl('dump-flows', 'br-int', '--no-names', 'table=0')
      const ports = await ofports()
      const standing = new Set<WireKey>()
      for (const [, ofport] of admitted.matchAll(/priority=100,in_port=(\d+),/g)) {
        const id = ports.get(Number(ofport))
        standing.add(id === undefined ? `port/of nobody on ${ofport}` : `port/${id}`)
      }
      for (const [, vni] of admitted.matchAll(/tun_id=(0x[0-9a-f]+)/g)) {
        const key = NETWORKS[Number(vni)]
        if (key) standing.add(key)
      }
      return standing
    },
    writes: async () => {
      await watcher.barrier()
      return writes
    },
    [Symbol.asyncDispose]: async () => {
      watcher.close()
      await ovs.stop()
      rmSync(stateDir, { recursive: true, force: true })
    },
  }
}

const missing = ovsMissing()
if (missing) test('ovs: the contract of all data planes', { skip: missing }, () => undefined)
else dataplaneContract('ovs', rig)
