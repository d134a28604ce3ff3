/** The outbox's part of a server: who is told, where they are, and who we are to them. */
import { readFileSync } from 'node:fs'
import { type Credential, createOwnToken } from '#identity/keystone/own-token.ts'
import { createTransport, type TransportOptions } from '#identity/keystone/transport.ts'
import type { MechanismDriver } from '#core/contracts.ts'
import type { Logger } from '#kernel/log.ts'
import type { Registry } from '#kernel/metrics.ts'
import type { ServerSettings } from '#launch/settings.ts'
import { endpointIn, type Wanted } from '#outbox/catalogue.ts'
import type { Destination } from '#outbox/event.ts'
import { startFollowers } from '#outbox/follow.ts'
import { createNova } from '#outbox/nova.ts'
import { startOutbox } from '#outbox/outbox.ts'
import { createPlacement } from '#outbox/placement.ts'
import { type Access, createService, type Service, type TlsTrust } from '#outbox/service.ts'
import type { Notifier } from '#store/notify.ts'
import type { Database } from '#store/pool.ts'

export interface OutboxParts {
  readonly database: Database
  readonly notifier: Notifier
  readonly settings: ServerSettings
  /** How this server says to Keystone who it is; null: there is no Keystone. */
  readonly keystone: (TransportOptions & { readonly credential: Credential }) | null
  readonly registry: Registry
  readonly log: Logger
}

/** Tells Nova and Placement until the stack is disposed; nothing when nobody is to be told. */
export function serveOutbox(parts: OutboxParts, stack: AsyncDisposableStack): void {
  const { database, notifier, settings, registry, log } = parts
  const destinations = destinationsOf(parts)
  if (destinations.length === 0) return
  const outbox = startOutbox({
    database,
    hint: () => notifier.hint(),
    destinations,
    nova: { status: settings.notifyNovaOnPortStatusChanges, data: settings.notifyNovaOnPortDataChanges },
    timeoutMs: settings.outboxTimeout * 1000,
    gatherMs: settings.sendEventsInterval * 1000,
    keepSeconds: settings.outboxRetention,
    registry,
    log,
  })
  stack.defer(() => outbox.close())
}

/** Tells mechanism drivers what was committed, until the stack is disposed. */
export function serveFollowers(
  { database, notifier, registry, log }: Pick<OutboxParts, 'database' | 'notifier' | 'registry' | 'log'>,
  drivers: readonly MechanismDriver[],
  stack: AsyncDisposableStack,
): void {
  const followers = startFollowers({ database, drivers, hint: () => notifier.hint(), registry, log })
  stack.defer(() => followers.close())
}

function destinationsOf({ database, settings, keystone }: OutboxParts): Destination[] {
  const { outboxCafile: cafile, outboxInsecure: insecure } = settings
  const trust: TlsTrust = { ca: cafile === null ? null : readFileSync(cafile), insecure }
  const identity = keystone && identityOf(keystone)
  const service = (type: string, address: string | null): Service | null => {
    const wanted: Wanted = { type, ...sideOf(settings, type) }
    if (address === null && identity === null) return null
    return createService(identity ? identity.access(wanted, address) : without(address ?? ''), trust)
  }
  const nova = service('compute', settings.novaEndpointOverride)
  const placement = service('placement', settings.placementEndpointOverride)
  const tellsNova = settings.notifyNovaOnPortStatusChanges || settings.notifyNovaOnPortDataChanges
  return [
    ...(nova && tellsNova ? [createNova(nova)] : []),
    ...(placement ? [createPlacement({ database, placement, nova })] : []),
  ]
}

const sideOf = (settings: ServerSettings, type: string): Omit<Wanted, 'type'> =>
  type === 'compute'
    ? { interface: settings.novaEndpointType, region: settings.novaRegionName }
    : { interface: settings.placementEndpointType, region: settings.placementRegionName }

/** Nobody asks who we are. */
const without = (address: string): Access => ({
  endpoint: async () => address.replace(/\/+$/, ''),
  token: async () => null,
  refused: () => undefined,
})

/** How long an address from the catalogue is not asked about again. */
const CATALOGUE_MS = 300_000

function identityOf(keystone: NonNullable<OutboxParts['keystone']>) {
  const transport = createTransport(keystone)
  const own = createOwnToken(transport, keystone.credential, Date.now)
  let known: { readonly body: unknown; readonly until: number } | null = null
  const catalogue = async (signal: AbortSignal): Promise<unknown> => {
    if (known && Date.now() < known.until) return known.body
    const token = await own.get(signal)
    const answer = await transport({ method: 'GET', path: '/auth/catalog', headers: { 'x-auth-token': token } }, signal)
    if (answer.status === 401) own.drop(token)
    if (answer.status !== 200) throw new Error(`Keystone answered ${answer.status} when it was asked for its catalogue`)
    known = { body: answer.body, until: Date.now() + CATALOGUE_MS }
    return known.body
  }
  const access = (wanted: Wanted, address: string | null): Access => ({
    endpoint: async (signal) => address?.replace(/\/+$/, '') ?? endpointIn(await catalogue(signal), wanted),
    token: (signal) => own.get(signal),
    refused: (token) => own.drop(token),
  })
  return { access }
}
