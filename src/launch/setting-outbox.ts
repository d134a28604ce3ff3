/** Settings of the outbox: what Nova and Placement are told, and where they are. Names as Neutron's where it has them. */
import { group } from './setting-field.ts'
import { duration, flag, oneOf, optional, path, text, url } from './setting-kinds.ts'

const outbox = group('Nova and Placement')

const SIDES = ['public', 'internal', 'admin'] as const

export const outboxFields = {
  notifyNovaOnPortStatusChanges: outbox(flag(), true, 'Tell Nova when ports of its servers are plugged and unplugged.'),
  notifyNovaOnPortDataChanges: outbox(
    flag(),
    true,
    'Tell Nova when ports of its servers go, and when their addresses or floating IPs change.',
  ),
  sendEventsInterval: outbox(
    duration(0),
    2,
    'How long events gather after some were sent; what comes when nothing was sent so long goes at once.',
  ),
  novaEndpointOverride: outbox(
    optional(url('http', 'https')),
    null,
    "Nova's address, as http://nova:8774/v2.1; by default the one in Keystone's catalogue. Without Keystone nobody is told unless it is given.",
  ),
  novaRegionName: outbox(optional(text({ name: 'region' })), null, "Nova's region in the catalogue; by default any."),
  novaEndpointType: outbox(oneOf(...SIDES), 'public', "Which of Nova's endpoints in the catalogue."),
  placementEndpointOverride: outbox(
    optional(url('http', 'https')),
    null,
    "Placement's address; by default the one in Keystone's catalogue. Without Keystone it is told nothing unless it is given.",
  ),
  placementRegionName: outbox(
    optional(text({ name: 'region' })),
    null,
    "Placement's region in the catalogue; by default any.",
  ),
  placementEndpointType: outbox(oneOf(...SIDES), 'public', "Which of Placement's endpoints in the catalogue."),
  outboxCafile: outbox(
    optional(path()),
    null,
    'PEM file of the authority that signed the certificates of Nova and Placement; by default those Node knows.',
  ),
  outboxInsecure: outbox(flag(), false, 'Do not verify those certificates: for laboratories.'),
  outboxTimeout: outbox(
    duration(),
    10,
    'How long Nova or Placement may take for an answer; who is slower gets more time, six times as much at most.',
  ),
  outboxRetention: outbox(duration(60), 7 * 86_400, 'How long delivered events are kept to be looked at and replayed.'),
} as const
