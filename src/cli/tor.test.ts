/** The words of `deuteron tor list`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listing } from './tor.ts'

const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1) - seconds * 1000).toISOString()
const now = Date.UTC(2026, 0, 1)

test('a ToR is a row; what is wrong follows, with what to do', () => {
  const remedy = 'free it'
  const problems = [{ network: 'n', reason: 'vlan_taken', facts: { vlan: 7 }, remedy }]
  const told = { physical_network: 'net1', tunnel_ip: '192.0.2.1', vlan_bindings: 2, remote_macs: 3 }
  const lines = listing(
    [
      {
        id: '1',
        host: 'tor1',
        alive: true,
        configurations: { ...told, problems, reconciled_at: at(40), last_error: { at: at(90), message: 'refused' } },
      },
      { id: '2', host: 'tor2', alive: true, configurations: { ...told, unreachable: 'no route' } },
      {
        id: '3',
        host: 'tor3',
        alive: false,
        configurations: { configured: false, unreachable: 'not in the settings' },
      },
    ],
    now,
  )
  assert.deepEqual(lines, [
    'TOR   STATE           PHYSICAL NETWORK  TUNNEL     VLANS  REMOTE MACS  COMPARED  LAST ERROR',
    'tor1  connected       net1              192.0.2.1  2      3            40 s ago  refused (90 s ago)',
    'tor2  unreachable     net1              192.0.2.1  2      3            –         no route',
    'tor3  not configured  –                 –          –      –            –         not in the settings',
    'tor1: vlan_taken for network n: {"vlan":7}',
    '  free it',
  ])
})
