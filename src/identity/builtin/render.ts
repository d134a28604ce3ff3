/** What the built-in identity shows of itself: Keystone v3's representations. */
import type { Role as RoleData, Directory, Project, User } from './directory.ts'
import { DOMAIN, rolesOn } from './directory.ts'
import type { Claims } from './token.ts'

export const REGION = 'RegionOne'

/** Keystone's form: microseconds, UTC. */
export const instant = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')

const links = (base: string, path: string) => ({ self: `${base}/identity/v3/${path}` })

/** A collection under its own name. */
export const list = (base: string, name: string, path: string, members: readonly unknown[]) => ({
  [name]: members,
  links: { ...links(base, path), next: null, previous: null },
})

export const project = (base: string, { id, name, description, enabled }: Project) => ({
  id,
  name,
  description,
  enabled,
  domain_id: DOMAIN.id,
  parent_id: DOMAIN.id,
  is_domain: false,
  tags: [],
  options: {},
  links: links(base, `projects/${id}`),
})

export const user = (base: string, { id, name, description, email, enabled, default_project_id }: User) => ({
  id,
  name,
  description,
  ...(email === null ? {} : { email }),
  enabled,
  ...(default_project_id === null ? {} : { default_project_id }),
  domain_id: DOMAIN.id,
  password_expires_at: null,
  options: {},
  links: links(base, `users/${id}`),
})

export const role = (base: string, { id, name }: RoleData) => ({
  id,
  name,
  domain_id: null,
  description: null,
  options: {},
  links: links(base, `roles/${id}`),
})

export const domain = (base: string) => ({
  id: DOMAIN.id,
  name: DOMAIN.name,
  description: 'The only domain',
  enabled: true,
  tags: [],
  options: {},
  links: links(base, `domains/${DOMAIN.id}`),
})

export const version = (base: string) => ({
  id: 'v3.14',
  status: 'stable',
  updated: '2020-04-07T00:00:00Z',
  links: [{ rel: 'self', href: `${base}/identity/v3/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
})

const SERVICES = [
  { id: 'd0000000000000000000000000000011', type: 'identity', name: 'keystone', path: '/identity' },
  { id: 'd0000000000000000000000000000012', type: 'network', name: 'neutron', path: '' },
] as const
const INTERFACES = ['public', 'internal', 'admin'] as const

/** Services with their endpoints: this server is all of them, on every interface. */
export const catalog = (base: string) =>
  SERVICES.map(({ id, type, name, path }) => ({
    id,
    type,
    name,
    endpoints: INTERFACES.map((face, at) => ({
      id: `${id.slice(0, -2)}${id.slice(-1)}${'abc'.charAt(at)}`,
      interface: face,
      region: REGION,
      region_id: REGION,
      url: `${base}${path}`,
    })),
  }))

/** The body of a token, without the token itself. */
export function token(directory: Directory, claims: Claims, base: string, withCatalog: boolean) {
  const { user: userId, scope } = claims
  const owner = directory.users.find(({ id }) => id === userId)
  const scoped = scope && {
    ...('project' in scope ? projectScope(directory, scope.project) : { system: { all: true } }),
    roles: rolesOn(directory, userId, scope).map(({ id, name }) => ({ id, name })),
    ...(withCatalog ? { catalog: catalog(base) } : {}),
  }
  return {
    token: {
      methods: claims.methods,
      user: { id: userId, name: owner?.name, domain: DOMAIN, password_expires_at: null },
      audit_ids: claims.audit,
      issued_at: instant(claims.issued),
      expires_at: instant(claims.expires),
      ...scoped,
    },
  }
}

const projectScope = (directory: Directory, id: string) => ({
  project: { id, name: directory.projects.find((one) => one.id === id)?.name, domain: DOMAIN },
  is_domain: false,
})
