/** Pools of floating IPs: the IPv4 subnets of external networks. A view; whoever asks sees all of them. */
import { cidr, defineResource, type Resource, text, uuid } from '#model/define.ts'

export const floatingIpPool = defineResource({
  name: 'floatingip_pool',
  plural: 'floatingip_pools',
  table: 'floatingip_pools',
  docs: 'A subnet that floating IPs are taken from.',
  notFound: { type: 'FloatingIPPoolNotFound', param: 'id' },
  operations: ['list'],
  attributes: {
    id: uuid({ visible: false }),
    project_id: text(),
    subnet_id: uuid(),
    subnet_name: text(),
    network_id: uuid(),
    cidr: cidr(),
  },
}) as unknown as Resource
