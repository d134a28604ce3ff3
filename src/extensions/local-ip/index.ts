/** Local IPs, and what they ask of the ports they stand on. */
import { ApiError } from '#kernel/errors.ts'
import { defineExtension, type Extension, type ExtensionPart, type Write } from '#model/define.ts'
import { lostUses } from '../port-uses.ts'
import { localIpAssociation } from './association.ts'
import { LOCAL_IP_OWNER, localIp } from './local-ip.ts'

/** Associations go with the address they lead to; a port that holds a local IP stays. */
const localPorts: ExtensionPart = {
  async inTx(context, write: Write) {
    if (write.op === 'create')
      return write.internal && write.after?.['device_owner'] === LOCAL_IP_OWNER ? { status: 'N/A' } : undefined
    for (const { kind, object_id, port_id } of await lostUses(context, write)) {
      if (kind === 'local_ip')
        throw new ApiError('ServicePortInUse', { port_id, reason: 'still referenced by Local IPs' })
      if (kind === 'local_ip_association') await context.remove(localIpAssociation, object_id)
    }
    return undefined
  },
}

export const localIps: Extension = defineExtension({
  alias: 'local_ip',
  name: 'Local IP',
  description: 'One address that on every host leads to a port there.',
  updated: '2021-07-26T10:00:00-00:00',
  requires: ['floating-ip-port-forwarding'],
  resources: [localIp, localIpAssociation],
  on: { port: localPorts },
})
