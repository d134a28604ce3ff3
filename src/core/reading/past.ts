/**
 * Lists of a past instant. The change log gives every object as it was; filters, order and pages are applied here, so
 * that they mean what they mean for the present. Today's visibility applies; what is gone is judged as it was last.
 */
import type { Caller } from '#kernel/caller.ts'
import { parsePrefix } from '#kernel/ip.ts'
import { asSeenBy } from '#model/audience.ts'
import type { ComposedResource } from '#model/compose.ts'
import type { SortKey, TagFilter } from '#store/condition.ts'
import type { Image } from '#store/history.ts'
import type { ListRequest } from './query.ts'
import { type ReadCore, visibleToday } from '../visible.ts'

/** Those of the images that the caller may see, as the caller sees them. */
export async function visiblePast(
  core: ReadCore,
  resource: ComposedResource,
  caller: Caller,
  images: readonly Image[],
): Promise<Image[]> {
  const today = await visibleToday(
    core,
    resource,
    caller,
    images.map((image) => String(image['id'])),
  )
  return images
    .filter((image) => today.get(String(image['id'])))
    .map((image) => asSeenBy(resource, image, caller.projectId))
}

/** Pure: filtered, ordered, cut to the page. Undefined when the marker is not among the images. */
export function pageOf(
  resource: ComposedResource,
  images: readonly Image[],
  request: ListRequest,
): Image[] | undefined {
  const { filters, fixedIps, tags, changedSince, limit, marker, reverse } = request
  const kept = images.filter(
    (image) =>
      Object.entries(filters).every(([name, values]) => matches(image[name], values)) &&
      (!fixedIps || holds(image, fixedIps)) &&
      (!tags || tagged(image, tags)) &&
      (!changedSince || String(image['updated_at']) >= `${changedSince.slice(0, 19)}Z`),
  )
  const byId = request.sort.some((key) => key.name === 'id') ? [] : [{ name: 'id', descending: false }]
  const keys = [...request.sort, ...byId].map((key) => (reverse ? { ...key, descending: !key.descending } : key))
  const order = (a: Image, b: Image): number => compareBy(resource, keys, a, b)
  const start = marker === undefined ? undefined : images.find((image) => image['id'] === marker)
  if (marker !== undefined && !start) return undefined
  const beyond = start ? kept.filter((image) => order(image, start) > 0) : kept
  const page = beyond.sort(order).slice(0, limit)
  return reverse ? page.reverse() : page
}

const matches = (value: unknown, wanted: readonly unknown[]): boolean => {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value ?? null]
  return values.some((one) =>
    wanted.some((other) => one === other || (one !== null && other !== null && String(one) === String(other))),
  )
}

function tagged(image: Image, { all, any, notAll, notAny }: TagFilter): boolean {
  const tags = (image['tags'] ?? []) as readonly string[]
  const every = (wanted: readonly string[]): boolean => wanted.every((tag) => tags.includes(tag))
  const some = (wanted: readonly string[]): boolean => wanted.some((tag) => tags.includes(tag))
  return (!all || every(all)) && (!any || some(any)) && !(notAll && every(notAll)) && !(notAny && some(notAny))
}

type Fixed = Readonly<Record<string, string>>

/** One address that has all the keys, each with any of its values. */
function holds(image: Image, wanted: Readonly<Record<string, readonly string[]>>): boolean {
  const fixed = (image['fixed_ips'] ?? []) as readonly Fixed[]
  return fixed.some((one) =>
    Object.entries(wanted).every(([key, values]) =>
      key === 'ip_address_substr'
        ? values.some((part) => one['ip_address']?.includes(part))
        : values.includes(one[key] ?? ''),
    ),
  )
}

function compareBy(resource: ComposedResource, keys: readonly SortKey[], a: Image, b: Image): number {
  for (const { name, descending } of keys) {
    const order = compare(a[name] ?? null, b[name] ?? null, resource.attributes[name]?.pg ?? 'text')
    if (order !== 0) return descending ? -order : order
  }
  return 0
}

/** As PostgreSQL orders: nulls last, text by bytes, addresses by number. */
function compare(a: unknown, b: unknown, pg: string): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  if (pg === 'inet' || pg === 'cidr') return compareAddresses(String(a), String(b))
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  return Buffer.compare(Buffer.from(String(a)), Buffer.from(String(b)))
}

function compareAddresses(a: string, b: string): number {
  const [x, y] = [parsePrefix(a), parsePrefix(b)]
  if (!x || !y) return 0
  if (x.version !== y.version) return x.version - y.version
  return x.value === y.value ? x.length - y.length : x.value < y.value ? -1 : 1
}
