/** Settings of a real Keystone: where it is, and how this server asks it about tokens. Names as keystonemiddleware's. */
import { type Fields, group } from './setting-field.ts'
import { duration, flag, list, optional, path, text, url, whole } from './setting-kinds.ts'

const keystone = group('Keystone')

export const keystoneFields = {
  keystoneAuthUrl: keystone(
    optional(url('http', 'https')),
    null,
    'Where this server reaches Keystone, with or without /v3. Needed by `identity: keystone`.',
  ),
  keystoneWwwAuthenticateUri: keystone(
    optional(url('http', 'https')),
    null,
    'Where clients without a token are told to get one; by default keystone_auth_url.',
  ),
  keystoneUsername: keystone(
    optional(text({ name: 'user name' })),
    null,
    'The user as whom this server validates tokens; it needs the role service or admin.',
  ),
  keystonePassword: keystone(optional(text({ name: 'password' })), null, "That user's password.", { secret: true }),
  keystoneUserDomainName: keystone(text({ name: 'domain name' }), 'Default', "That user's domain."),
  keystoneProjectName: keystone(text({ name: 'project name' }), 'service', 'The project in which it has that role.'),
  keystoneProjectDomainName: keystone(text({ name: 'domain name' }), 'Default', "That project's domain."),
  keystoneApplicationCredentialId: keystone(
    optional(text({ name: 'id' })),
    null,
    'An application credential instead of user and password.',
  ),
  keystoneApplicationCredentialSecret: keystone(
    optional(text({ name: 'secret' })),
    null,
    'The secret of that credential.',
    { secret: true },
  ),
  keystoneCafile: keystone(
    optional(path()),
    null,
    "PEM file of the authority that signed Keystone's certificate; by default those Node knows.",
  ),
  keystoneInsecure: keystone(flag(), false, "Do not verify Keystone's certificate: for laboratories."),
  keystoneHttpTimeout: keystone(
    duration(),
    10,
    'How long a request waits for Keystone, attempts included; then it is answered 503.',
  ),
  keystoneHttpRequestMaxRetries: keystone(
    whole(0, 10),
    3,
    'Attempts after the first when a connection fails or Keystone errs.',
  ),
  keystoneTokenCacheTime: keystone(
    duration(0),
    300,
    'How long a validated token is not asked about again; one that is revoked is accepted at most so long. 0s asks at each request.',
  ),
  keystoneServiceTokenRoles: keystone(
    list(text({ name: 'role' })),
    ['service'],
    'With one of these roles a service token lets an expired user token pass.',
  ),
  keystoneServiceTokenRolesRequired: keystone(flag(), false, 'Refuse service tokens that have none of these roles.'),
  keystoneServiceType: keystone(
    text({ name: 'service type' }),
    'network',
    'What access rules of application credentials call this service.',
  ),
} as const satisfies Fields
