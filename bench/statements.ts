/** SQL statements per operation, counted in an API of its own: BEGIN and COMMIT left out. */
import { hostReports } from '../test/lib/agents.ts'
import { testServer } from '../test/lib/server.ts'
import { table } from './table.ts'

export async function benchStatements(): Promise<string> {
  let count = 0
  const counted = (text: string): void => {
    if (text !== 'begin' && text !== 'commit') count++
  }
  await using server = await testServer({ onStatement: counted, settings: { quotaPort: -1 } })
  const rows: string[][] = []
  const take = async <T>(name: string, work: Promise<T>): Promise<T> => {
    count = 0
    const value = await work
    rows.push([name, String(count)])
    return value
  }
  const { admin } = server
  // The first port of a project makes its default group: that is not what a port costs.
  const warm = await admin.make('network', {})
  await admin.make('port', { network_id: warm['id'] })
  await hostReports(server, 'h1')
  const network = await take('network create', admin.make('network', {}))
  const subnet = await take(
    'subnet create, DHCP',
    admin.make('subnet', { network_id: network['id'], ip_version: 4, cidr: '10.0.0.0/16' }),
  )
  const port = await take('port create', admin.make('port', { network_id: network['id'] }))
  await take('port bind', admin.put(`ports/${port['id']}`, { port: { 'binding:host_id': 'h1' } }))
  await take('port update', admin.put(`ports/${port['id']}`, { port: { name: 'x' } }))
  await take('port show', admin.get(`ports/${port['id']}`))
  await take(
    'port bulk create ×100',
    admin.post('ports', { ports: Array.from({ length: 100 }, () => ({ network_id: network['id'] })) }),
  )
  await take('port list', admin.get('ports'))
  await take('port delete', admin.delete(`ports/${port['id']}`))
  await take('subnet update', admin.put(`subnets/${subnet['id']}`, { subnet: { name: 'x' } }))
  await take('network update', admin.put(`networks/${network['id']}`, { network: { name: 'x' } }))
  return table(['operation', 'statements'], rows)
}
