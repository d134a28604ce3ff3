/** What an operator sets up in Keystone before Neutron: the service user, roles, and the network endpoint. */
import { ask, demand, type Json } from './http.ts'
import { PASSWORD, REGION } from './keystone.ts'

/** As whom the server asks Keystone, in the project `service`. */
export const SERVICE_USER = 'neutron'

const DEFAULT = { id: 'default' }

/** A token of `user` in `project` of the default domain. */
export const logIn = async (keystone: string, user: string, project: string): Promise<string> => {
  const { headers } = await ask('POST', `${keystone}/auth/tokens`, {
    body: {
      auth: {
        identity: { methods: ['password'], password: { user: { name: user, domain: DEFAULT, password: PASSWORD } } },
        scope: { project: { name: project, domain: DEFAULT } },
      },
    },
  })
  return headers.get('x-subject-token') ?? ''
}

/** Names `network` (ending without a slash) as the networking endpoint. Runs again on a Keystone that has all this. */
export const fillCatalogue = async (keystone: string, network: string): Promise<void> => {
  const token = await logIn(keystone, 'admin', 'admin')
  const made = async (kind: string, wanted: Record<string, unknown>, key = 'name'): Promise<string> => {
    const found: Json[] = (await demand('GET', `${keystone}/${kind}s`, { token }))[`${kind}s`]
    const same = found.find((one) => one[key] === wanted[key])
    return (same ?? (await demand('POST', `${keystone}/${kind}s`, { token, body: { [kind]: wanted } }))[kind]).id
  }
  const project = await made('project', { name: 'service', domain_id: DEFAULT.id })
  const user = await made('user', { name: SERVICE_USER, domain_id: DEFAULT.id, password: PASSWORD })
  for (const name of ['admin', 'service']) {
    const role = await made('role', { name })
    await demand('PUT', `${keystone}/projects/${project}/users/${user}/roles/${role}`, { token })
  }
  const service = await made('service', { name: 'neutron', type: 'network' })
  const { endpoints }: { endpoints: Json[] } = await demand('GET', `${keystone}/endpoints?service_id=${service}`, {
    token,
  })
  for (const { id } of endpoints) await demand('DELETE', `${keystone}/endpoints/${id}`, { token })
  for (const face of ['public', 'internal', 'admin']) {
    const endpoint = { service_id: service, region_id: REGION, interface: face, url: network }
    await demand('POST', `${keystone}/endpoints`, { token, body: { endpoint } })
  }
}
