/** Wire objects for tests. */
import type { PortObject } from './objects.ts'

/** A port of a server on the switch; what matters to a test it says itself. */
export const plainPort = (said: Pick<PortObject, 'id'> & Partial<PortObject>): PortObject => ({
  network_id: 'n1',
  generation: 1,
  mac_address: '02:00:00:00:00:01',
  admin_state_up: true,
  device_owner: 'compute:nova',
  vnic_type: 'normal',
  fixed_ips: [],
  port_security_enabled: true,
  security_groups: [],
  allowed_address_pairs: [],
  dns_name: '',
  extra_dhcp_opts: [],
  active: true,
  device: null,
  segment_ids: [],
  ...said,
})
